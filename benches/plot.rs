//! The latency of every write over time as SVG, small and without a library.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use super::table::spoken;
use super::writers::{NEITHER, NEW_APPLICATION, OLD_APPLICATION, Write, Writer, Written};

/// One run, drawn above or below others on the same scales.
pub(super) struct Panel<'a> {
    pub(super) title: &'static str,
    pub(super) written: &'a [Written],
    pub(super) phases: &'a [(&'static str, Range<u64>)],
    pub(super) whole: Range<u64>,
    /// The longest wait that it caused.
    pub(super) longest: Option<&'a Write>,
}

/// Of the picture, in pixels.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 118.0;
const HEIGHT: f64 = 240.0;
const BETWEEN: f64 = 88.0;
const BOTTOM: f64 = 48.0;

/// A bucket of time of which only the longest write and one other are drawn, in pixels.
const BUCKET: f64 = 1.5;

/// From here on every write is drawn.
const LONG: f64 = 0.005;

/// From here on the waiting itself is drawn: a line for as long as it lasted.
const VERY_LONG: f64 = 0.05;

/// What is drawn before the change and behind it.
const AROUND: Duration = Duration::from_secs(3);

/// The shortest latency on the axis, as a power of ten, and what its marks say from there on.
const SHORTEST: i32 = -5;
const DECADES: [&str; 8] = [
    "10 µs", "0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s",
];

/// Who is drawn, from the back to the front, in colours that differ for everybody.
const COLOURS: [(&Writer, &str); 3] = [
    (&NEITHER, "#8b9096"),
    (&OLD_APPLICATION, "#d55e00"),
    (&NEW_APPLICATION, "#0072b2"),
];

/// The ground is drawn, so that the picture is the same on a light page and on a dark one.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#5b626a}
.h{font-size:15px;font-weight:600;fill:#1f2429}.t{font-size:13px;font-weight:600;fill:#1f2429}
.l{font-size:13px;font-weight:600;fill:#b3261e}.a{stroke:#fdfdfc;stroke-width:4px;stroke-linejoin:round}.e{text-anchor:end}.m{text-anchor:middle}
.g{stroke:#e4e6e8;fill:none}.p{fill:#e9f0f7}.f{stroke:#b9bec4;fill:none}.b{stroke:#8fa9c2;fill:none}
.d{fill:none;stroke-linecap:round}.o{stroke:#b3261e;stroke-width:1.5;fill:none}
";

/// The picture.
pub(super) fn drawn(title: &str, panels: &[Panel], around: Duration) -> String {
    let around = around.min(AROUND).as_secs_f64();
    let lasted = panels
        .iter()
        .map(|it| seconds(it.whole.end - it.whole.start));
    let lasted = lasted.fold(0.0, f64::max);
    let longest = panels.iter().filter_map(|it| it.longest);
    let longest = longest.map(|it| it.took.as_secs_f64()).fold(1.0, f64::max);
    #[allow(clippy::cast_possible_truncation)]
    let decades = (longest.log10().ceil() as i32).min(2) - SHORTEST;
    let tops: Vec<f64> = std::iter::successors(Some(TOP), |it| Some(it + HEIGHT + BETWEEN))
        .take(panels.len())
        .collect();
    let height = tops.last().unwrap_or(&TOP) + HEIGHT + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#fdfdfc\"/>\n\
         <text class=\"h\" x=\"{LEFT}\" y=\"32\">{title}</text>\n"
    );
    legend(&mut svg);
    for (top, panel) in tops.into_iter().zip(panels) {
        let scale = Scale {
            origin: panel.whole.start,
            from: -around,
            to: lasted + around,
            top,
            decades,
        };
        scale.phases(&mut svg, panel);
        scale.axes(&mut svg, panel);
        for (writer, colour) in COLOURS {
            let theirs = panel
                .written
                .iter()
                .filter(|it| it.writer.what == writer.what);
            for written in theirs {
                scale.writes(&mut svg, written, colour);
            }
        }
        if let Some(write) = panel.longest {
            scale.longest(&mut svg, write);
        }
    }
    let (x, y) = (f64::midpoint(LEFT, WIDTH - RIGHT), height - 10.0);
    put(
        &mut svg,
        &format!("class=\"m\" x=\"{x}\" y=\"{y}\""),
        "seconds since the change began",
    );
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let mut x = LEFT + 4.0;
    for (writer, colour) in COLOURS.iter().rev() {
        let _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"50\" r=\"4\" fill=\"{colour}\"/>"
        );
        put(svg, &format!("x=\"{}\" y=\"54\"", x + 9.0), writer.what);
        x += 150.0;
    }
}

fn put(svg: &mut String, attributes: &str, text: &str) {
    let _ = writeln!(svg, "<text {attributes}>{text}</text>");
}

#[allow(clippy::cast_precision_loss)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Where things are in a panel.
struct Scale {
    /// When the change began, in microseconds.
    origin: u64,
    /// Seconds from there, at the left and at the right.
    from: f64,
    to: f64,
    /// The upper edge of the panel.
    top: f64,
    /// How many powers of ten its height is.
    decades: i32,
}

impl Scale {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds - self.from) / (self.to - self.from) * (WIDTH - LEFT - RIGHT)
    }

    /// Of a moment.
    fn at(&self, micros: u64) -> f64 {
        let after = seconds(micros.saturating_sub(self.origin));
        self.x(after - seconds(self.origin.saturating_sub(micros)))
    }

    fn y(&self, latency: f64) -> f64 {
        let decades = (latency.log10() - f64::from(SHORTEST)) / f64::from(self.decades);
        self.top + HEIGHT * (1.0 - decades.max(0.0))
    }

    /// When the phases were, and what they are called.
    fn phases(&self, svg: &mut String, panel: &Panel) {
        let top = self.top;
        for (at, (phase, time)) in panel.phases.iter().enumerate() {
            let (start, end) = (self.at(time.start), self.at(time.end));
            let width = end - start;
            let _ = writeln!(
                svg,
                "<rect class=\"p\" x=\"{start:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>\
                 <path class=\"b\" d=\"M{start:.1} {}v{}\"/>",
                top - 16.0,
                HEIGHT + 16.0
            );
            // Expand takes some milliseconds: there is no place for its name but before it.
            let (x, class) = if at == 0 && panel.phases.len() > 1 {
                (start - 5.0, "e")
            } else {
                (start + 5.0, "")
            };
            put(
                svg,
                &format!("class=\"{class}\" x=\"{x:.1}\" y=\"{}\"", top - 6.0),
                phase,
            );
        }
    }

    /// The lines of the axes, and what they say.
    fn axes(&self, svg: &mut String, panel: &Panel) {
        put(
            svg,
            &format!("class=\"t\" x=\"{LEFT}\" y=\"{}\"", self.top - 26.0),
            panel.title,
        );
        let bottom = self.top + HEIGHT;
        let right = WIDTH - RIGHT;
        for (decade, says) in (0..=self.decades).zip(DECADES) {
            let y = self.y(10_f64.powi(SHORTEST + decade));
            let _ = writeln!(svg, "<path class=\"g\" d=\"M{LEFT} {y:.1}H{right}\"/>");
            put(
                svg,
                &format!("class=\"e\" x=\"{}\" y=\"{:.1}\"", LEFT - 8.0, y + 4.0),
                says,
            );
        }
        let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
        let fits = |step: &f64| (self.to - self.from) / step <= 16.0;
        let step = steps.into_iter().find(fits).unwrap_or(1000.0);
        // Zero may come out as -0, which it need not say.
        let mut mark = (self.from / step).ceil() * step + 0.0;
        while mark <= self.to {
            let x = self.x(mark);
            let _ = writeln!(svg, "<path class=\"f\" d=\"M{x:.1} {bottom}v4\"/>");
            put(
                svg,
                &format!("class=\"m\" x=\"{x:.1}\" y=\"{}\"", bottom + 17.0),
                &mark.to_string().replace('-', "−"),
            );
            mark += step;
        }
        let _ = writeln!(svg, "<path class=\"f\" d=\"M{LEFT} {bottom}H{right}\"/>");
    }

    /// The writes of one writer: the long ones each, of the others the longest of each bucket and the first.
    fn writes(&self, svg: &mut String, written: &Written, colour: &str) {
        let (mut waits, mut long, mut peaks, mut first) = Default::default();
        let mut bucket = 0.0;
        let mut peak: Option<(f64, f64)> = None;
        for write in &written.writes {
            let (x, took) = (self.at(write.began), write.took.as_secs_f64());
            if !(LEFT..=WIDTH - RIGHT).contains(&x) {
                continue;
            }
            let y = self.y(took);
            if took >= VERY_LONG {
                let end = self.at(write.ended()).min(WIDTH - RIGHT);
                dot(&mut waits, x, y, end - x);
            } else if took >= LONG {
                dot(&mut long, x, y, 0.0);
            } else if x >= bucket {
                if let Some((x, y)) = peak.replace((x, y)) {
                    dot(&mut peaks, x, y, 0.0);
                }
                dot(&mut first, x, y, 0.0);
                bucket = x + BUCKET;
            } else if peak.is_none_or(|it| y < it.1) {
                peak = Some((x, y));
            }
        }
        for (dots, width, opacity) in [
            (first, 1.6, 0.4),
            (peaks, 1.8, 0.6),
            (long, 2.6, 0.9),
            (waits, 3.0, 1.0),
        ] {
            if !dots.is_empty() {
                let _ = writeln!(
                    svg,
                    "<path class=\"d\" stroke=\"{colour}\" stroke-width=\"{width}\" opacity=\"{opacity}\" d=\"{dots}\"/>"
                );
            }
        }
    }

    /// A ring at the end of the longest wait, and how long it was.
    fn longest(&self, svg: &mut String, write: &Write) {
        let took = write.took.as_secs_f64();
        let (end, y) = (self.at(write.ended()), self.y(took));
        let _ = writeln!(
            svg,
            "<circle class=\"o\" cx=\"{end:.1}\" cy=\"{y:.1}\" r=\"5\"/>"
        );
        // Above the line that led there, or below it where there is no room.
        let base = if y - self.top < 26.0 {
            y + 21.0
        } else {
            y - 10.0
        };
        let (x, class) = if end > WIDTH / 2.0 {
            (end + 5.0, "l e")
        } else {
            (end - 5.0, "l")
        };
        let says = format!("longest wait {}", spoken(took));
        // Twice, the first time as the ground on which it stands out from what was drawn before.
        for more in [" a", ""] {
            put(
                svg,
                &format!("class=\"{class}{more}\" x=\"{x:.1}\" y=\"{base:.1}\""),
                &says,
            );
        }
    }
}

/// A dot, or a line to the right, as a part of a path with round ends.
fn dot(path: &mut String, x: f64, y: f64, length: f64) {
    let _ = write!(path, "M{x:.1} {y:.1}h{length:.1}");
}
