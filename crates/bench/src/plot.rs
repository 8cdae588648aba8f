//! Plots, as SVG: ratios as bars, and times as lines; all on logarithmic axes.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::figures::{Ratio, short};

const WIDTH: u32 = 900;
const GREY: RGBColor = RGBColor(127, 127, 127);
const ORANGE: RGBColor = RGBColor(255, 127, 14);
const BLUE: RGBColor = RGBColor(31, 119, 180);
const GREEN: RGBColor = RGBColor(44, 160, 44);
const RED: RGBColor = RGBColor(200, 30, 30);
const GRID: RGBColor = RGBColor(225, 225, 225);
const FONT: (&str, u32) = ("sans-serif", 13);
const TITLE: (&str, u32) = ("sans-serif", 18);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Both of its coordinates are linear; values are put in as logarithms where the axis is one of those, since the library labels
/// its own logarithmic axes until they cannot be read.
type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A ratio with its target.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is a ratio of.
    pub label: String,
    /// How many times as quick.
    pub ratio: Ratio,
    /// What it is to be at least.
    pub target: Option<f64>,
}

/// Times against something that varies.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Name of the file, without ending.
    pub file: &'static str,
    /// Title.
    pub title: &'static str,
    /// What varies, with its unit.
    pub x: &'static str,
    /// The lines.
    pub series: Vec<Series>,
}

/// A line of a [`Chart`].
#[derive(Debug, Clone)]
pub struct Series {
    /// What it shows.
    pub name: &'static str,
    /// What varies, and seconds.
    pub points: Vec<(f64, f64)>,
}

/// Bars from 1, a target each where there is one, and the range of the rounds.
///
/// # Errors
/// Where it cannot be drawn.
pub fn bars(title: &str, bars: &[Bar]) -> Result<String> {
    let mut svg = String::new();
    let height = 90 + 26 * u32::try_from(bars.len())?;
    draw_bars(title, bars, &SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area())?;
    Ok(svg)
}

fn draw_bars(title: &str, bars: &[Bar], area: &Area) -> Result<()> {
    area.fill(&WHITE)?;
    let values = || bars.iter().flat_map(|bar| [bar.ratio.least, bar.ratio.most, bar.target.unwrap_or(1.0), 1.0]);
    let rows = bars.len() as f64;
    let x = logarithms(values(), 1.2, 1.6);
    let mut plane: Plane = ChartBuilder::on(area)
        .caption(title, TITLE)
        .margin(10)
        .margin_left(330)
        .x_label_area_size(40)
        .build_cartesian_2d(x.clone(), 0.0..rows)?;
    plane.configure_mesh().disable_mesh().disable_y_axis().x_labels(0).x_desc("times; red: the target").draw()?;
    for tick in ticks(&x) {
        mark_x(area, &mut plane, tick, (0.0, rows))?;
    }
    for (number, bar) in bars.iter().enumerate() {
        let (low, high) = (rows - number as f64 - 0.8, rows - number as f64 - 0.2);
        let middle = f64::midpoint(low, high);
        let [of_medians, least, most] = [bar.ratio.of_medians, bar.ratio.least, bar.ratio.most].map(f64::log10);
        plane.draw_series([Rectangle::new([(0.0, low), (of_medians, high)], BLUE.filled())])?;
        plane.draw_series([PathElement::new([(least, middle), (most, middle)], BLACK)])?;
        if let Some(target) = bar.target.map(f64::log10) {
            let line = [(target, low - 0.1), (target, high + 0.1)];
            plane.draw_series([PathElement::new(line, RED.stroke_width(2))])?;
        }
        let (end, y) = plane.backend_coord(&(most.max(0.0), middle));
        area.draw(&Text::new(format!("{} ×", short(bar.ratio.of_medians)), (end + 6, y - 7), FONT))?;
        area.draw(&Text::new(bar.label.replace('`', ""), (12, y - 7), FONT))?;
    }
    area.present()?;
    Ok(())
}

/// A chart with both axes logarithmic.
///
/// # Errors
/// Where it cannot be drawn.
pub fn lines(chart: &Chart) -> Result<String> {
    let mut svg = String::new();
    draw_lines(chart, &SVGBackend::with_string(&mut svg, (WIDTH, 480)).into_drawing_area())?;
    Ok(svg)
}

fn draw_lines(chart: &Chart, area: &Area) -> Result<()> {
    area.fill(&WHITE)?;
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let (x, y) =
        (logarithms(points().map(|point| point.0), 1.2, 1.2), logarithms(points().map(|point| point.1), 1.3, 1.3));
    let mut plane: Plane = ChartBuilder::on(area)
        .caption(chart.title, TITLE)
        .margin(10)
        .margin_right(170)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(x.clone(), y.clone())?;
    plane.configure_mesh().disable_mesh().x_labels(0).y_labels(0).x_desc(chart.x).y_desc("seconds").draw()?;
    let mut measured: Vec<f64> = points().map(|point| point.0).collect();
    measured.sort_by(f64::total_cmp);
    measured.dedup();
    for tick in measured {
        mark_x(area, &mut plane, tick, (y.start, y.end))?;
    }
    for tick in ticks(&y) {
        let height = tick.log10();
        plane.draw_series([PathElement::new([(x.start, height), (x.end, height)], GRID)])?;
        let (left, place) = plane.backend_coord(&(x.start, height));
        area.draw(&Text::new(number(tick), (left - 8, place - 7), FONT.into_font().into_text_style(area).pos(RIGHT)))?;
    }
    for series in &chart.series {
        let colour = series.colour();
        let logarithms: Vec<_> = series.points.iter().map(|(x, y)| (x.log10(), y.log10())).collect();
        let Some(last) = logarithms.last() else { continue };
        let (end, place) = plane.backend_coord(last);
        area.draw(&Text::new(series.name, (end + 12, place - 7), FONT.into_font().color(&colour)))?;
        plane.draw_series(LineSeries::new(logarithms, colour.stroke_width(2)).point_size(4))?;
    }
    area.present()?;
    Ok(())
}

const RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Top };
const CENTRE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Top };

/// A line across the plane at the value `tick`, with the value below it.
fn mark_x(area: &Area, plane: &mut Plane, tick: f64, (low, high): (f64, f64)) -> Result<()> {
    let x = tick.log10();
    plane.draw_series([PathElement::new([(x, low), (x, high)], GRID)])?;
    let (x, y) = plane.backend_coord(&(x, low));
    area.draw(&Text::new(number(tick), (x, y + 6), FONT.into_font().into_text_style(area).pos(CENTRE)))?;
    Ok(())
}

/// From the least to the most of the values, as logarithms, with room on both sides.
fn logarithms(values: impl Iterator<Item = f64>, below: f64, above: f64) -> Range<f64> {
    let (least, most) = values.fold((f64::MAX, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    if most <= 0.0 { 0.0..1.0 } else { (least / below).log10()..(most * above).log10() }
}

/// 1, 2, 5, 10 and so on, within a range of logarithms.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let powers = range.start.floor() as i32..=range.end.ceil() as i32;
    let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|mantissa| mantissa * 10_f64.powi(power)));
    all.filter(|tick| range.contains(&tick.log10())).collect()
}

/// Without the noise of binary fractions.
fn number(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

impl Series {
    fn colour(&self) -> RGBColor {
        match self.name {
            "cold" => ORANGE,
            "warm" => BLUE,
            "warm, our own share" => GREEN,
            _ => GREY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_hold_what_they_are_given() {
        let ratio = Ratio { of_medians: 26.5, least: 20.0, most: 30.0 };
        let svg = bars("Ratios", &[Bar { label: "warm".to_owned(), ratio, target: Some(25.0) }]).expect("drawn");
        assert!(svg.starts_with("<svg") && svg.contains("warm") && svg.contains("26.5 ×"), "{svg}");
        let series = vec![Series { name: "cold", points: vec![(60.0, 1.5), (2000.0, 40.0)] }];
        let svg = lines(&Chart { file: "x", title: "Growth", x: "MB", series }).expect("drawn");
        assert!(svg.contains("Growth") && svg.contains("cold") && svg.contains("<polyline"), "{svg}");
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            ticks(&logarithms([0.3, 12.0].into_iter(), 1.0, 1.0)).into_iter().map(number).collect::<Vec<_>>(),
            ["0.5", "1", "2", "5", "10"]
        );
    }

    #[test]
    fn a_chart_of_nothing_is_no_error() {
        assert!(lines(&Chart { file: "x", title: "Growth", x: "MB", series: Vec::new() }).is_ok());
    }
}
