//! Simulated time: real time, faster.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Milliseconds of simulated time since the Unix epoch.
pub type Millis = i64;

/// A clock that runs `scale` times as fast as the real one, or stands.
#[derive(Debug, Clone)]
pub struct Clock {
    /// When it showed `base`; `None` while it stands there.
    started: Option<Instant>,
    base: Millis,
    scale: f64,
    /// The time that is shown while what was due before now is done.
    at: Option<Millis>,
}

impl Clock {
    /// Starts at `saved`, or now when it is absent or in the past; `ahead` of this machine's clock by so
    /// many seconds.
    pub fn start(saved: Option<&str>, scale: f64, ahead: i64) -> Self {
        let now = Timestamp::now().as_millisecond() + ahead * 1000;
        Self {
            started: Some(Instant::now()),
            base: saved.and_then(parse).map_or(now, |saved| saved.max(now)),
            scale,
            at: None,
        }
    }

    /// The simulated time.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates; a clock that far on is useless"
    )]
    pub fn now(&self) -> Millis {
        if let Some(at) = self.at {
            return at;
        }
        let elapsed = self.started.map(|s| s.elapsed()).unwrap_or_default();
        let elapsed = elapsed.as_secs_f64() * self.scale * 1000.0;
        self.base.saturating_add(elapsed as Millis)
    }

    /// Shows this time until it looks forward again: something that was due then is done.
    pub fn look_back(&mut self, at: Millis) {
        self.at = Some(at);
    }

    /// Shows the time that it is.
    pub fn look_forward(&mut self) {
        self.at = None;
    }

    /// Shows so much more from now on.
    pub fn pass(&mut self, millis: Millis) {
        self.base = self.base.saturating_add(millis);
    }

    /// Stands still where it is.
    pub fn stop(&mut self) {
        self.base = self.now();
        self.started = None;
    }

    /// Goes on, if it stands.
    pub fn go_on(&mut self) {
        self.started.get_or_insert_with(Instant::now);
    }

    /// How long in real time until `at`, if the clock runs until then.
    #[expect(
        clippy::cast_precision_loss,
        reason = "durations of hours, not of ages"
    )]
    pub fn until(&self, at: Millis) -> Duration {
        let millis = (at - self.now()).max(0) as f64;
        Duration::from_secs_f64((millis / 1000.0 / self.scale).min(3600.0))
    }
}

/// RFC 3339, as the APIs write it.
pub fn text(at: Millis) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| String::new(), |t| t.to_string())
}

/// Reads RFC 3339.
pub fn parse(text: &str) -> Option<Millis> {
    text.parse::<Timestamp>().ok().map(|t| t.as_millisecond())
}
