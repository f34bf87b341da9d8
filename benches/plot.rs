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
    /// The longest wait while the change was under way.
    pub(super) longest: Duration,
}

/// Of the picture, in pixels.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 98.0;
const HEIGHT: f64 = 240.0;
const BETWEEN: f64 = 84.0;
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
.l{font-size:13px;font-weight:600;fill:#b3261e}.e{text-anchor:end}.m{text-anchor:middle}
.g{stroke:#e4e6e8;fill:none}.p{fill:#e9f0f7}.f{stroke:#b9bec4;fill:none}
.d{fill:none;stroke-linecap:round}.o{stroke:#b3261e;stroke-width:1.5;fill:none}
";

/// The picture.
pub(super) fn drawn(title: &str, panels: &[Panel], around: Duration) -> String {
    let around = around.min(AROUND).as_secs_f64();
    let lasted = panels
        .iter()
        .map(|it| seconds(it.whole.end - it.whole.start));
    let lasted = lasted.fold(0.0, f64::max);
    let longest = panels.iter().map(|it| it.longest.as_secs_f64());
    let longest = longest.fold(1.0, f64::max);
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
        scale.longest(&mut svg, panel);
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

    /// The phases, the lines of the axes, and what they say.
    fn axes(&self, svg: &mut String, panel: &Panel) {
        let (top, bottom) = (self.top, self.top + HEIGHT);
        for (phase, time) in panel.phases {
            let (start, end) = (self.at(time.start), self.at(time.end));
            let width = (end - start).max(1.5);
            let _ = writeln!(
                svg,
                "<rect class=\"p\" x=\"{start:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>"
            );
            let y = top - 7.0;
            // A phase of some milliseconds is told beside its line: the first one before it, others behind it.
            let (x, class) = match end - start {
                narrow if narrow < 70.0 && time.start == self.origin => (start - 2.0, "e"),
                narrow if narrow < 70.0 => (start, ""),
                _ => (f64::midpoint(start, end), "m"),
            };
            put(
                svg,
                &format!("class=\"{class}\" x=\"{x:.1}\" y=\"{y}\""),
                phase,
            );
        }
        put(
            svg,
            &format!("class=\"t\" x=\"{LEFT}\" y=\"{}\"", top - 24.0),
            panel.title,
        );
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
        let mut mark = (self.from / step).ceil() * step;
        while mark <= self.to {
            let x = self.x(mark);
            let _ = writeln!(svg, "<path class=\"f\" d=\"M{x:.1} {bottom}v4\"/>");
            put(
                svg,
                &format!("class=\"m\" x=\"{x:.1}\" y=\"{}\"", bottom + 17.0),
                &format!("{mark}"),
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

    /// A ring around the longest wait, and how long it was.
    fn longest(&self, svg: &mut String, panel: &Panel) {
        let writes = panel.written.iter().flat_map(|it| &it.writes);
        let is_longest = |it: &&Write| it.took == panel.longest && it.is_in(&panel.whole);
        let Some(write) = writes.into_iter().find(is_longest) else {
            return;
        };
        let end = self.at(write.ended());
        let y = self.y(write.took.as_secs_f64());
        let says = format!("longest wait {}", spoken(write.took.as_secs_f64()));
        let _ = writeln!(
            svg,
            "<circle class=\"o\" cx=\"{end:.1}\" cy=\"{y:.1}\" r=\"5\"/>"
        );
        let (x, class) = if end > WIDTH - 200.0 {
            (end - 11.0, "l e")
        } else {
            (end + 11.0, "l")
        };
        put(
            svg,
            &format!("class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\"", y + 4.5),
            &says,
        );
    }
}

/// A dot, or a line to the right, as a part of a path with round ends.
fn dot(path: &mut String, x: f64, y: f64, length: f64) {
    let _ = write!(path, "M{x:.1} {y:.1}h{length:.1}");
}
