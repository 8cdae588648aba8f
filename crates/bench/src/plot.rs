//! Plots, as SVG: ratios as bars, and times as lines; all on logarithmic axes.

use anyhow::Result;
use plotters::prelude::*;

use crate::figures::{Ratio, short};

const WIDTH: u32 = 900;
const OURS: RGBColor = RGBColor(31, 119, 180);
const COLOURS: [RGBColor; 4] = [RGBColor(127, 127, 127), RGBColor(255, 127, 14), OURS, RGBColor(44, 160, 44)];
const TARGET: RGBColor = RGBColor(200, 30, 30);
const FONT: &str = "sans-serif";

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

fn draw_bars(title: &str, bars: &[Bar], area: &DrawingArea<SVGBackend, plotters::coord::Shift>) -> Result<()> {
    area.fill(&WHITE)?;
    let values = bars.iter().flat_map(|bar| [bar.ratio.most, bar.target.unwrap_or(1.0), bar.ratio.least]);
    let (least, most) = values.fold((1.0_f64, 1.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    let rows = bars.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 18))
        .margin(10)
        .margin_left(330)
        .x_label_area_size(40)
        .build_cartesian_2d((least / 1.2..most * 1.5).log_scale(), 0.0..rows)?;
    chart.configure_mesh().disable_y_mesh().disable_y_axis().x_desc("times as quick; red: the target").draw()?;
    for (number, bar) in bars.iter().enumerate() {
        let (low, high) = (rows - number as f64 - 0.8, rows - number as f64 - 0.2);
        let middle = f64::midpoint(low, high);
        let Ratio { of_medians, least, most } = bar.ratio;
        chart.draw_series([Rectangle::new([(1.0, low), (of_medians, high)], OURS.filled())])?;
        chart.draw_series([PathElement::new([(least, middle), (most, middle)], BLACK)])?;
        if let Some(target) = bar.target {
            chart
                .draw_series([PathElement::new([(target, low - 0.1), (target, high + 0.1)], TARGET.stroke_width(2))])?;
        }
        let end = of_medians.max(most).max(bar.target.unwrap_or(1.0));
        let place = chart.backend_coord(&(end, middle));
        area.draw(&Text::new(format!("{} ×", short(of_medians)), (place.0 + 6, place.1 - 7), (FONT, 13)))?;
        area.draw(&Text::new(bar.label.replace('`', ""), (12, place.1 - 7), (FONT, 13)))?;
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

fn draw_lines(chart: &Chart, area: &DrawingArea<SVGBackend, plotters::coord::Shift>) -> Result<()> {
    area.fill(&WHITE)?;
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (least, most) =
            values.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| (least.min(value), most.max(value)));
        (least.min(most) / 1.3..most * 1.3).log_scale()
    };
    let (x, y) = (range(&mut points().map(|point| point.0)), range(&mut points().map(|point| point.1)));
    let mut drawn = ChartBuilder::on(area)
        .caption(chart.title, (FONT, 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(x, y)?;
    drawn.configure_mesh().x_desc(chart.x).y_desc("seconds").draw()?;
    for (series, colour) in chart.series.iter().zip(COLOURS) {
        let line = LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)).point_size(4);
        let key = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2));
        drawn.draw_series(line)?.label(series.name).legend(key);
    }
    drawn.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
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
    fn a_chart_of_nothing_is_no_error() {
        assert!(lines(&Chart { file: "x", title: "Growth", x: "MB", series: Vec::new() }).is_ok());
    }
}
