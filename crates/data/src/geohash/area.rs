//! Areas of the earth, and where their positions are among the scores.

use super::{Bounds, Cell, EARTH_RADIUS, LATITUDE_MAX, LONGITUDE_MAX, Position, RADIANS, STEPS};

/// Half of the equator on a Mercator map, in metres.
const MERCATOR_MAX: f64 = 20_037_726.37;

/// The shape of an area, its lengths in metres.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// All positions up to so far from the centre.
    Circle {
        /// How far.
        radius: f64,
    },
    /// A rectangle along the parallels and meridians, around the centre.
    Rectangle {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
    /// What these corners enclose; at least three.
    Polygon(Vec<Position>),
}

/// An area around a centre.
#[derive(Clone, PartialEq, Debug)]
pub struct Area {
    centre: Position,
    shape: Shape,
}

impl Area {
    /// An area around a centre. A polygon has one of its own.
    #[must_use]
    pub fn new(centre: Position, shape: Shape) -> Self {
        let centre = if let Shape::Polygon(corners) = &shape { middle(corners) } else { centre };
        Area { centre, shape }
    }

    /// Metres from the centre to a position, if that lies inside.
    #[must_use]
    pub fn distance(&self, position: Position) -> Option<f64> {
        let inside = match &self.shape {
            Shape::Circle { radius } => {
                let distance = self.centre.distance(position);
                return (distance <= *radius).then_some(distance);
            }
            Shape::Rectangle { width, height } => {
                let level = Position { longitude: self.centre.longitude, ..position };
                position.distance_in_latitude(self.centre) <= height / 2.0
                    && position.distance(level) <= width / 2.0
            }
            Shape::Polygon(corners) => encloses(corners, position),
        };
        inside.then(|| self.centre.distance(position))
    }

    /// Ranges of scores, the upper end excluded, that contain all positions of the area, in the
    /// order in which Redis goes through them.
    #[must_use]
    pub fn scores(&self) -> Vec<(f64, f64)> {
        let bounds = self.bounds();
        let mut steps = steps_for(self.radius(&bounds), self.centre.latitude);
        let mut cell = self.cell(steps);
        // Redis makes the cells larger once at most. The corners of a polygon may be so far from
        // its centre that this is not enough.
        let polygon = matches!(self.shape, Shape::Polygon(_));
        let mut tries = if polygon { STEPS } else { 1 };
        while steps > 1 && tries > 0 && !reaches(cell, &bounds) {
            (steps, tries) = (steps - 1, tries - 1);
            cell = self.cell(steps);
        }
        around(cell, &bounds)
    }

    /// The cell of the centre.
    fn cell(&self, steps: u32) -> Cell {
        let latitude = self.centre.latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX);
        Cell::of(Position { latitude, ..self.centre }, steps)
    }

    /// The part of the map that the area lies in.
    fn bounds(&self) -> Bounds {
        let (width, height) = match &self.shape {
            Shape::Circle { radius } => (*radius, *radius),
            Shape::Rectangle { width, height } => (width / 2.0, height / 2.0),
            Shape::Polygon(corners) => return bounds_of(corners),
        };
        let Position { longitude, latitude } = self.centre;
        let latitudes = height / EARTH_RADIUS / RADIANS;
        // A degree of longitude is shortest at the end that is farther from the equator.
        let far = if latitude < 0.0 { latitude - latitudes } else { latitude + latitudes };
        let longitudes = width / EARTH_RADIUS / (far * RADIANS).cos() / RADIANS;
        Bounds {
            west: longitude - longitudes,
            south: latitude - latitudes,
            east: longitude + longitudes,
            north: latitude + latitudes,
        }
    }

    /// Metres from the centre to the farthest corner of the area, or of its bounds.
    fn radius(&self, bounds: &Bounds) -> f64 {
        match &self.shape {
            Shape::Circle { radius } => *radius,
            Shape::Rectangle { width, height } => {
                let (width, height) = (width / 2.0, height / 2.0);
                (width * width + height * height).sqrt()
            }
            Shape::Polygon(_) => [bounds.west, bounds.east]
                .into_iter()
                .flat_map(|longitude| {
                    [bounds.north, bounds.south].map(|latitude| Position { longitude, latitude })
                })
                .map(|corner| self.centre.distance(corner))
                .fold(0.0, f64::max),
        }
    }
}

/// Steps of the cells of which nine contain a circle, or nearly so.
fn steps_for(radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS;
    }
    let (mut radius, mut steps) = (radius, 1_i32);
    while radius < MERCATOR_MAX {
        radius *= 2.0;
        steps += 1;
    }
    steps -= 2;
    // Cells become narrow towards the poles.
    if latitude.abs() > 66.0 {
        steps -= 1;
        if latitude.abs() > 80.0 {
            steps -= 1;
        }
    }
    steps.clamp(1, STEPS as i32) as u32
}

/// Whether the cells around a cell reach the bounds on every side.
fn reaches(cell: Cell, bounds: &Bounds) -> bool {
    cell.moved(0, 1).bounds().north >= bounds.north
        && cell.moved(0, -1).bounds().south <= bounds.south
        && cell.moved(1, 0).bounds().east >= bounds.east
        && cell.moved(-1, 0).bounds().west <= bounds.west
}

/// The scores of a cell and of those around it, without those that the bounds do not reach.
fn around(cell: Cell, bounds: &Bounds) -> Vec<(f64, f64)> {
    const DIRECTIONS: [(i32, i32); 8] =
        [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
    let own = cell.bounds();
    let useless = |(east, north): (i32, i32)| {
        cell.steps >= 2
            && (north < 0 && own.south < bounds.south
                || north > 0 && own.north > bounds.north
                || east < 0 && own.west < bounds.west
                || east > 0 && own.east > bounds.east)
    };
    let mut cells: Vec<Cell> = DIRECTIONS
        .into_iter()
        .filter(|direction| !useless(*direction))
        .map(|(east, north)| cell.moved(east, north))
        .collect();
    // Few large cells are neighbours on both sides.
    cells.dedup();
    std::iter::once(cell).chain(cells).map(Cell::scores).collect()
}

fn bounds_of(corners: &[Position]) -> Bounds {
    let start = Bounds {
        west: LONGITUDE_MAX,
        south: LATITUDE_MAX,
        east: -LONGITUDE_MAX,
        north: -LATITUDE_MAX,
    };
    corners.iter().fold(start, |bounds, corner| Bounds {
        west: bounds.west.min(corner.longitude),
        south: bounds.south.min(corner.latitude),
        east: bounds.east.max(corner.longitude),
        north: bounds.north.max(corner.latitude),
    })
}

/// The middle of positions: of their points in space, seen from the centre of the earth.
fn middle(positions: &[Position]) -> Position {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for Position { longitude, latitude } in positions {
        let (longitude, latitude) = (longitude * RADIANS, latitude * RADIANS);
        x += EARTH_RADIUS * latitude.cos() * longitude.cos();
        y += EARTH_RADIUS * latitude.cos() * longitude.sin();
        z += EARTH_RADIUS * latitude.sin();
    }
    let count = positions.len() as f64;
    (x, y, z) = (x / count, y / count, z / count);
    let longitude = y.atan2(x) / RADIANS;
    let latitude = z.atan2((x * x + y * y).sqrt()) / RADIANS;
    Position { longitude, latitude }
}

/// Whether a line to the east crosses the edges an odd number of times.
fn encloses(corners: &[Position], point: Position) -> bool {
    let before = corners.iter().cycle().skip(corners.len().saturating_sub(1));
    let crosses = |(a, b): (&Position, &Position)| {
        (a.latitude > point.latitude) != (b.latitude > point.latitude)
            && point.longitude
                < (b.longitude - a.longitude) * (point.latitude - a.latitude)
                    / (b.latitude - a.latitude)
                    + a.longitude
    };
    corners.iter().zip(before).filter(|edge| crosses(*edge)).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngSeed};

    fn square() -> Shape {
        let corner = |longitude, latitude| Position { longitude, latitude };
        Shape::Polygon(vec![
            corner(10.0, 40.0),
            corner(12.0, 40.0),
            corner(12.0, 42.0),
            corner(10.0, 42.0),
        ])
    }

    #[test]
    fn polygons_enclose_what_is_between_their_corners() {
        let nowhere = Position { longitude: 0.0, latitude: 0.0 };
        let area = Area::new(nowhere, square());
        assert!((area.centre.longitude - 11.0).abs() < 1e-9);
        let inside = |longitude, latitude| area.distance(Position { longitude, latitude });
        assert!(inside(11.0, 41.0).is_some_and(|distance| distance < 2_000.0));
        assert!(inside(10.1, 41.9).is_some());
        assert!(inside(9.9, 41.0).is_none() && inside(11.0, 42.1).is_none());
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let length = || prop_oneof![0.0..2_000.0, 0.0..500_000.0, 0.0..5_000_000.0];
        let corner = (-179.0..179.0, -84.0..84.0)
            .prop_map(|(longitude, latitude)| Position { longitude, latitude });
        prop_oneof![
            length().prop_map(|radius| Shape::Circle { radius }),
            (length(), length()).prop_map(|(width, height)| Shape::Rectangle { width, height }),
            prop::collection::vec(corner, 3..7).prop_map(Shape::Polygon),
        ]
    }

    proptest! {
        #![proptest_config(Config {
            cases: if cfg!(miri) { 5 } else { 2_000 },
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..Config::default()
        })]

        /// Far from the edges of the map, where Redis misses some.
        #[test]
        fn what_lies_inside_is_in_the_ranges(
            (longitude, latitude) in (-60.0..60.0, -45.0..45.0),
            shape in shape(),
            (east, north) in (-1.0..1.0, -1.0..1.0),
        ) {
            let centre = Position { longitude, latitude };
            let area = Area::new(centre, shape);
            let bounds = area.bounds();
            let (wide, high) = (bounds.east - bounds.west, bounds.north - bounds.south);
            let place = Position::new(
                area.centre.longitude + east * wide / 2.0,
                area.centre.latitude + north * high / 2.0,
            );
            let Some(place) = place else { return Ok(()) };
            let score = place.score();
            if area.distance(Position::of_score(score)).is_some() {
                let ranges = area.scores();
                let found = ranges.iter().filter(|(min, max)| (*min..*max).contains(&score)).count();
                prop_assert_eq!(found, 1, "{:?} in {:?}", place, ranges);
            }
        }
    }
}
