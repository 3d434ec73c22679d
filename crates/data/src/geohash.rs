//! Positions on the earth as 52 bits, and areas of it.
//!
//! Longitude and latitude are cut into 2^26 steps each, whose bits alternate, those of the longitude
//! first. A prefix of the bits is a *cell*: what is near lies in few ranges of such numbers. All
//! formulas, their constants and the order of their operations are those of Redis (`geohash.c`,
//! `geohash_helper.c`): clients see their results to the last digit.

mod area;

pub use area::{Area, Shape};

/// Longitudes lie between this and its negative, in degrees.
pub const LONGITUDE_MAX: f64 = 180.0;
/// Latitudes lie between this and its negative, in degrees: what a Mercator map shows.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// Steps of a position, each a bit of longitude and one of latitude.
const STEPS: u32 = 26;
/// The earth's radius in metres.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// A place on the earth, in degrees.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Position {
    /// East of Greenwich; negative: west.
    pub longitude: f64,
    /// North of the equator; negative: south.
    pub latitude: f64,
}

impl Position {
    /// A position, if it is within the limits.
    #[must_use]
    pub fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let inside = (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&latitude);
        inside.then_some(Position { longitude, latitude })
    }

    /// The position as a score.
    #[must_use]
    pub fn score(self) -> f64 {
        Cell::of(self, STEPS).bits as f64
    }

    /// The position that a score is: the middle of its cell. Any score is one.
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        Cell { bits: to_bits(score), steps: STEPS }.bounds().middle()
    }

    /// The usual text of a geohash, in base 32, of a grid whose latitudes reach from pole to pole.
    /// The last of its characters says nothing.
    #[must_use]
    pub fn geohash(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = interleave(
            fixed(self.latitude, 90.0, STEPS),
            fixed(self.longitude, LONGITUDE_MAX, STEPS),
        );
        let mut text = [b'0'; 11];
        for (at, character) in text.iter_mut().enumerate().take(10) {
            let shift = 2 * STEPS as usize - 5 * (at + 1);
            *character = ALPHABET[(bits >> shift) as usize & 31];
        }
        text
    }

    /// Metres to another position, along the great circle.
    #[must_use]
    pub fn distance(self, other: Position) -> f64 {
        let (from, to) = (self.longitude * RADIANS, other.longitude * RADIANS);
        let v = ((to - from) / 2.0).sin();
        if v == 0.0 {
            return self.distance_in_latitude(other);
        }
        let (from, to) = (self.latitude * RADIANS, other.latitude * RADIANS);
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }

    /// Metres to the latitude of another position.
    fn distance_in_latitude(self, other: Position) -> f64 {
        EARTH_RADIUS * (other.latitude * RADIANS - self.latitude * RADIANS).abs()
    }
}

/// A score as an integer, as a conversion in C does it on x86-64.
fn to_bits(score: f64) -> u64 {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    match score {
        score if score >= BEYOND => 0,
        score if score < 0.0 => score as i64 as u64,
        score => score as u64,
    }
}

/// A coordinate between `-max` and `max` in 2^`steps` parts. `max` itself is the part behind.
fn fixed(value: f64, max: f64, steps: u32) -> u32 {
    let offset = (value - -max) / (max - -max);
    (offset * (1_u64 << steps) as f64) as u32
}

const MASKS: [u64; 6] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0F0F_0F0F_0F0F_0F0F,
    0x00FF_00FF_00FF_00FF,
    0x0000_FFFF_0000_FFFF,
    0x0000_0000_FFFF_FFFF,
];

/// Alternates the bits of two numbers, beginning with the lowest one of `even`.
fn interleave(even: u32, odd: u32) -> u64 {
    let spread = |value: u32| {
        (0..5).rev().fold(u64::from(value), |bits, at| (bits | bits << (1 << at)) & MASKS[at])
    };
    spread(even) | spread(odd) << 1
}

/// The two numbers whose bits alternate.
fn deinterleave(bits: u64) -> (u32, u32) {
    let gather = |bits: u64| {
        (0..5).fold(bits & MASKS[0], |bits, at| (bits | bits >> (1 << at)) & MASKS[at + 1]) as u32
    };
    (gather(bits), gather(bits >> 1))
}

/// A part of the map: all positions whose numbers begin with these bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cell {
    bits: u64,
    /// Half the number of bits; at least 1.
    steps: u32,
}

/// Edges of a part of the map, in degrees.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bounds {
    fn middle(self) -> Position {
        let longitude = (self.west + self.east) / 2.0;
        let latitude = (self.south + self.north) / 2.0;
        Position {
            longitude: longitude.clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }
}

impl Cell {
    /// The cell of a position.
    fn of(position: Position, steps: u32) -> Self {
        let latitude = fixed(position.latitude, LATITUDE_MAX, steps);
        let longitude = fixed(position.longitude, LONGITUDE_MAX, steps);
        Cell { bits: interleave(latitude, longitude), steps }
    }

    fn bounds(self) -> Bounds {
        let (latitude, longitude) = deinterleave(self.bits);
        let parts = (1_u64 << self.steps) as f64;
        let edge = |part: u32, max: f64| -max + (f64::from(part) / parts) * (max - -max);
        Bounds {
            west: edge(longitude, LONGITUDE_MAX),
            south: edge(latitude, LATITUDE_MAX),
            east: edge(longitude.wrapping_add(1), LONGITUDE_MAX),
            north: edge(latitude.wrapping_add(1), LATITUDE_MAX),
        }
    }

    /// The cell so many cells to the east and to the north, around the map's edges.
    fn moved(self, east: i32, north: i32) -> Self {
        let (latitude, longitude) = deinterleave(self.bits);
        let mask = ((1_u64 << self.steps) - 1) as u32;
        let latitude = latitude.wrapping_add_signed(north) & mask;
        let longitude = longitude.wrapping_add_signed(east) & mask;
        Cell { bits: interleave(latitude, longitude), ..self }
    }

    /// The scores of its positions, the last one excluded.
    fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS - self.steps);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn position(longitude: f64, latitude: f64) -> Position {
        Position::new(longitude, latitude).unwrap()
    }

    #[test]
    fn known_places_have_known_numbers() {
        let palermo = position(13.361_389, 38.115_556);
        let catania = position(15.087_269, 37.502_669);
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        assert_eq!(catania.score(), 3_479_447_370_796_909.0);
        let palermo = Position::of_score(palermo.score());
        assert_eq!(palermo.longitude, 13.361_389_338_970_184);
        assert_eq!(palermo.latitude, 38.115_556_395_496_3);
        assert_eq!(&palermo.geohash(), b"sqc8b49rny0");
        let metres = palermo.distance(Position::of_score(catania.score()));
        assert_eq!(format!("{metres:.4}"), "166274.1516");
        let (a, b) = (position(10.0, 40.0), position(10.0, 41.0));
        assert_eq!(a.distance(b), b.distance(a));
    }

    #[test]
    fn positions_have_limits() {
        assert!(Position::new(180.0, LATITUDE_MAX).is_some());
        assert!(Position::new(180.1, 0.0).is_none() && Position::new(0.0, -85.06).is_none());
        assert!(Position::new(f64::NAN, 0.0).is_none());
    }

    #[test]
    fn any_score_is_a_position() {
        for score in [f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 0.5, -0.0, 2e19] {
            let Position { longitude, latitude } = Position::of_score(score);
            assert!(Position::new(longitude, latitude).is_some(), "{score}");
        }
    }

    #[test]
    fn cells_have_neighbours_around_the_edges() {
        let cell = Cell::of(position(-179.9, 0.1), 4);
        let west = cell.moved(-1, 0);
        assert!(west.bounds().middle().longitude > 150.0);
        assert_eq!(west.moved(1, 0), cell);
        assert_eq!(cell.moved(0, 16), cell);
    }

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 5 } else { 500 },
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..Config::default()
        })]

        #[test]
        fn bits_alternate(even in any::<u32>(), odd in any::<u32>()) {
            let bits = interleave(even, odd);
            for at in 0..32 {
                prop_assert_eq!(bits >> (2 * at) & 1, u64::from(even >> at & 1));
                prop_assert_eq!(bits >> (2 * at + 1) & 1, u64::from(odd >> at & 1));
            }
            prop_assert_eq!(deinterleave(bits), (even, odd));
        }

        #[test]
        fn a_score_is_near_its_position(
            longitude in -LONGITUDE_MAX..LONGITUDE_MAX,
            latitude in -LATITUDE_MAX..LATITUDE_MAX,
        ) {
            let place = position(longitude, latitude);
            let read = Position::of_score(place.score());
            prop_assert!(place.distance(read) < 1.0);
            prop_assert_eq!(read.score(), place.score());
        }
    }
}
