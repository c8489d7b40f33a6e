//! Charts with a line for each server.

use std::path::Path;

use plotters::prelude::*;

pub struct Chart {
    pub file: &'static str,
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
}

pub struct Series {
    pub server: &'static str,
    pub points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (800, 480);
/// As many as do not run into each other.
const LABELS: usize = 6;
const FONT: &str = "sans-serif";

/// A server has the same colour in every chart.
fn colour(server: &str) -> RGBColor {
    match server {
        "expeditor" => RGBColor(200, 30, 30),
        "node" => RGBColor(40, 130, 60),
        "bun" => RGBColor(210, 140, 20),
        "bare" => RGBColor(50, 90, 190),
        _ => RGBColor(120, 120, 120),
    }
}

/// Memory grows in proportion and is drawn so; everything else spans orders of magnitude.
pub fn draw(path: &Path, chart: &Chart, series: &[Series]) -> anyhow::Result<()> {
    let all = || series.iter().flat_map(|series| &series.points);
    let x = |pick: fn(f64, f64) -> f64, from| all().map(|(x, _)| *x).fold(from, pick);
    let y = |pick: fn(f64, f64) -> f64, from| all().map(|(_, y)| *y).fold(from, pick);
    let (left, right) = (x(f64::min, f64::INFINITY), x(f64::max, 0.0));
    let (low, high) = (y(f64::min, f64::INFINITY), y(f64::max, 0.0));
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&area);
    builder.caption(chart.title, (FONT, 20)).margin(16).x_label_area_size(44).y_label_area_size(64);
    // The two kinds of axes are two types.
    macro_rules! draw_lines {
        ($context:expr) => {{
            let mut context = $context;
            let label = |value: &f64| crate::report::number(*value);
            context
                .configure_mesh()
                .x_desc(chart.x)
                .y_desc(chart.y)
                .x_label_formatter(&label)
                .y_label_formatter(&label)
                .x_labels(LABELS)
                .light_line_style(WHITE)
                .draw()?;
            for Series { server, points } in series {
                let colour = colour(server);
                context
                    .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
                    .label(*server)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
            }
            context
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .label_font((FONT, 14))
                .draw()?;
        }};
    }
    if left > 0.0 {
        let y_axis = (low / 1.5)..(high * 1.5);
        draw_lines!(builder.build_cartesian_2d((left..right).log_scale(), y_axis.log_scale())?);
    } else {
        draw_lines!(builder.build_cartesian_2d(left..right, 0.0..high * 1.05)?);
    }
    area.present()?;
    Ok(())
}
