//! Results of a comparison: scenarios in rows, servers in columns, repetitions in each cell.

use serde_json::{Value, json};
use std::fmt::Write as _;

/// One measured quantity for all scenarios and servers.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What was measured, for headings.
    pub title: String,
    /// Short name without spaces, for file names.
    pub slug: String,
    /// Unit of all cells.
    pub unit: String,
    rows: Vec<String>,
    columns: Vec<String>,
    cells: Vec<Cell>,
}

#[derive(Clone, Debug)]
struct Cell {
    row: usize,
    column: usize,
    samples: Vec<Option<f64>>,
}

/// Middle and extremes of the repetitions of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The median: of an even number of samples the mean of the middle two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of no samples there is none.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, min, max })
    }
}

impl Grid {
    /// An empty grid.
    pub fn new(title: &str, slug: &str, unit: &str) -> Self {
        Self {
            title: title.to_owned(),
            slug: slug.to_owned(),
            unit: unit.to_owned(),
            rows: Vec::new(),
            columns: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Adds the sample of one repetition; `None` says that the server could not do it. Each
    /// repetition adds exactly one sample to a cell, so that repetitions can be paired.
    pub fn add(&mut self, row: &str, column: &str, sample: Option<f64>) {
        let row = position(&mut self.rows, row);
        let column = position(&mut self.columns, column);
        match self.cells.iter_mut().find(|cell| cell.row == row && cell.column == column) {
            Some(cell) => cell.samples.push(sample),
            None => self.cells.push(Cell { row, column, samples: vec![sample] }),
        }
    }

    /// Scenarios in the order in which they came.
    pub fn rows(&self) -> &[String] {
        &self.rows
    }

    /// Servers in the order in which they came.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.samples.iter().all(Option::is_none))
    }

    fn samples(&self, row: &str, column: &str) -> &[Option<f64>] {
        let row = self.rows.iter().position(|name| name == row);
        let column = self.columns.iter().position(|name| name == column);
        self.cells
            .iter()
            .find(|cell| Some(cell.row) == row && Some(cell.column) == column)
            .map_or(&[], |cell| &cell.samples)
    }

    /// Median and extremes of a cell.
    pub fn spread(&self, row: &str, column: &str) -> Option<Spread> {
        Spread::of(self.samples(row, column).iter().copied().flatten())
    }

    /// How many times `column` is `base`: the median of the ratios within each repetition, which
    /// a machine that is slower for a while disturbs less than the ratio of the medians.
    pub fn ratio(&self, row: &str, column: &str, base: &str) -> Option<Spread> {
        let pairs = self.samples(row, column).iter().zip(self.samples(row, base));
        Spread::of(pairs.filter_map(|(sample, base)| Some((*sample)? / (*base)?)))
    }

    /// A markdown table: medians with extremes, and what `subject` is in ratio to each of
    /// `bases` that takes part.
    pub fn to_markdown(&self, subject: &str, bases: &[&str]) -> String {
        let has = |name: &str| self.columns.iter().any(|column| column == name);
        let bases: Vec<&str> =
            bases.iter().copied().filter(|&b| has(subject) && has(b) && b != subject).collect();
        let mut text = format!("| {} |", self.unit);
        for column in &self.columns {
            let _ = write!(text, " {column} |");
        }
        for base in &bases {
            let _ = write!(text, " {subject} ÷ {base} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(self.columns.len() + bases.len()));
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "| {row} |");
            for column in &self.columns {
                let _ = write!(text, " {} |", spread_text(self.spread(row, column)));
            }
            for base in &bases {
                let ratio = self.ratio(row, subject, base);
                let _ = match ratio {
                    Some(ratio) => write!(
                        text,
                        " **{:.2}** ({:.2}–{:.2}) |",
                        ratio.median, ratio.min, ratio.max
                    ),
                    None => write!(text, " |"),
                };
            }
            text.push('\n');
        }
        text
    }

    /// All samples.
    pub fn to_json(&self) -> Value {
        let cells: Vec<Value> = self
            .cells
            .iter()
            .map(|cell| {
                json!({
                    "scenario": self.rows[cell.row],
                    "server": self.columns[cell.column],
                    "samples": cell.samples,
                })
            })
            .collect();
        json!({ "title": self.title, "unit": self.unit, "cells": cells })
    }
}

fn position(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

fn spread_text(spread: Option<Spread>) -> String {
    let Some(Spread { median, min, max }) = spread else {
        return String::new();
    };
    if min == max {
        return short(median);
    }
    format!("{} ({}–{})", short(median), short(min), short(max))
}

/// Three significant digits, and whole numbers above a hundred.
pub fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let digits = format!("{value:.decimals$}");
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        let left = whole.len() - i;
        if i > 0 && left.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_extremes() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }

    /// The machine is three times slower in the second repetition: the ratio does not notice.
    #[test]
    fn ratios_are_paired() {
        let mut grid = Grid::new("t", "t", "µs");
        for (ours, theirs) in [(1.0, 2.0), (3.0, 6.0), (1.0, 2.0)] {
            grid.add("GET", "kevy", Some(ours));
            grid.add("GET", "redis", Some(theirs));
        }
        let ratio = grid.ratio("GET", "kevy", "redis").unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.5, 0.5, 0.5));
        assert_eq!(grid.ratio("GET", "kevy", "nobody"), None);
        assert_eq!(grid.ratio("SET", "kevy", "redis"), None);
    }

    #[test]
    fn a_missing_sample_keeps_the_pairs_together() {
        let mut grid = Grid::new("t", "t", "µs");
        for (ours, theirs) in [(None, Some(100.0)), (Some(1.0), Some(2.0))] {
            grid.add("GET", "kevy", ours);
            grid.add("GET", "redis", theirs);
        }
        assert_eq!(grid.ratio("GET", "kevy", "redis").unwrap().median, 0.5);
    }

    #[test]
    fn markdown_has_a_cell_for_every_pair() {
        let mut grid = Grid::new("CPU", "cpu", "µs/op");
        grid.add("GET", "redis", Some(2.0));
        grid.add("GET", "kevy", Some(0.5));
        grid.add("PING", "kevy", Some(0.25));
        let text = grid.to_markdown("kevy", &["redis", "null"]);
        assert_eq!(
            text,
            "| µs/op | redis | kevy | kevy ÷ redis |\n|---|---:|---:|---:|\n\
             | GET | 2.00 | 0.500 | **0.25** (0.25–0.25) |\n| PING |  | 0.250 | |\n"
        );
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.1234, "0.123"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
            (-123_456.0, "-123,456"),
            (-123.0, "-123"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
