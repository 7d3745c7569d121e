//! Metrics in the text format of Prometheus, version 0.0.4. Written by hand: what is told is in memory already, so all that a registry
//! would add is a second place for it.

use std::fmt::{Display, Write};

/// The text, family by family.
#[derive(Default)]
pub(crate) struct Exposition(String);

/// What a family's values mean.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// It only rises, until the process ends.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Counts by upper end, with a sum.
    Histogram,
    /// A sum and a count.
    Summary,
}

impl Exposition {
    /// Begins a family. What it means is what `docs/metrics.md` says.
    pub(crate) fn family(&mut self, name: &str, kind: Kind, meaning: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        };
        self.line(format_args!("# HELP {name} {meaning}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A value of the family. The labels' values are addresses and words of ours: nothing in them needs to be escaped.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        if labels.is_empty() {
            return self.line(format_args!("{name} {value}"));
        }
        self.write(format_args!("{name}"));
        for (at, (label, text)) in labels.iter().enumerate() {
            self.write(format_args!("{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' }));
        }
        self.line(format_args!("}} {value}"));
    }

    /// A family of one value without labels.
    pub(crate) fn single(&mut self, name: &str, kind: Kind, meaning: &str, value: impl Display) {
        self.family(name, kind, meaning);
        self.sample(name, &[], value);
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.write(text);
        self.0.push('\n');
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a text takes all that is written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_their_head_and_samples_their_labels() {
        let mut text = Exposition::default();
        text.single("a", Kind::Gauge, "What it is.", 1.5);
        text.family("b_total", Kind::Counter, "Another.");
        text.sample("b_total", &[("x", &"y"), ("n", &3)], 7);
        let expected = "# HELP a What it is.\n# TYPE a gauge\na 1.5\n\
                        # HELP b_total Another.\n# TYPE b_total counter\nb_total{x=\"y\",n=\"3\"} 7\n";
        assert_eq!(text.finish(), expected);
    }
}
