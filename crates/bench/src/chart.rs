//! Bar charts as SVG, drawn without a library: a group of bars for each scenario, a bar for each
//! server, its median as a number and its extremes as a thin line.

use crate::grid::{Grid, short};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 190.0;
const NUMBERS: f64 = 70.0;
const BAR: f64 = 16.0;
const GAP: f64 = 12.0;
const HEAD: f64 = 60.0;
const COLOURS: [&str; 7] =
    ["#1b6ca8", "#c8553d", "#8a8d91", "#588b4b", "#e0a030", "#7a5195", "#444444"];

/// Draws a grid; every scenario has a scale of its own if `separate_scales`, for scenarios whose
/// figures differ by orders of magnitude.
pub fn to_svg(grid: &Grid, separate_scales: bool) -> String {
    let group = BAR * grid.columns().len() as f64 + GAP;
    let height = HEAD + group * grid.rows().len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"15\" font-weight=\"bold\">{} ({})</text>\n",
        escape(&grid.title),
        escape(&grid.unit)
    );
    legend(&mut svg, grid);
    let overall = grid.rows().iter().map(|row| largest(grid, row)).fold(0.0, f64::max);
    for (i, row) in grid.rows().iter().enumerate() {
        let top = HEAD + group * i as f64;
        let scale = if separate_scales { largest(grid, row) } else { overall };
        bars(&mut svg, grid, row, top, scale);
    }
    svg.push_str("</svg>\n");
    svg
}

fn largest(grid: &Grid, row: &str) -> f64 {
    let maxima = grid.columns().iter().filter_map(|column| Some(grid.spread(row, column)?.max));
    maxima.fold(0.0, f64::max)
}

fn legend(svg: &mut String, grid: &Grid) {
    let mut x = 10.0;
    for (i, column) in grid.columns().iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"32\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"42\">{}</text>",
            x + 16.0,
            escape(column)
        );
        x += 40.0 + 7.5 * column.chars().count() as f64;
    }
}

fn bars(svg: &mut String, grid: &Grid, row: &str, top: f64, scale: f64) {
    let middle = top + BAR * grid.columns().len() as f64 / 2.0 + 4.0;
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
        LABELS - 8.0,
        escape(row)
    );
    for (i, column) in grid.columns().iter().enumerate() {
        let Some(spread) = grid.spread(row, column) else {
            continue;
        };
        let room = WIDTH - LABELS - NUMBERS;
        let x = |value: f64| LABELS + if scale > 0.0 { value.max(0.0) / scale * room } else { 0.0 };
        let y = top + BAR * i as f64;
        let line = y + (BAR - 2.0) / 2.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"/>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{line}\" y2=\"{line}\" stroke=\"#000000\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            x(spread.median) - LABELS,
            BAR - 2.0,
            COLOURS[i % COLOURS.len()],
            x(spread.min),
            x(spread.max),
            x(spread.max) + 5.0,
            y + BAR - 4.0,
            short(spread.median),
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_every_cell_within_the_picture() {
        let mut grid = Grid::new("CPU & time", "cpu", "µs/op");
        for (row, column, value) in
            [("a<b", "x", 1.0), ("a<b", "y", 2.0), ("c", "x", 400.0), ("d", "y", 0.0)]
        {
            grid.add(row, column, Some(value));
        }
        for separate in [false, true] {
            let svg = to_svg(&grid, separate);
            assert_eq!(svg.matches("<line").count(), 4);
            assert!(svg.contains("CPU &amp; time") && svg.contains("a&lt;b"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
            for part in svg.split("x2=\"").skip(1) {
                let x: f64 = part.split('"').next().unwrap().parse().unwrap();
                assert!((LABELS..=WIDTH - NUMBERS).contains(&x), "{x}");
            }
        }
    }
}
