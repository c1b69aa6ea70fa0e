//! The settings of a circuit: as they are asked for, and as they are in force.

use std::time::Duration;

use crate::error::Invalid;

/// What is asked of a circuit. What is left out is decided by the factory, and then by the defaults.
///
/// The same words are the keys of the `#[circuit_breaker]` attribute. All setters are `const`, so a
/// config can be a constant. It is checked where it is used, and nothing is ever clamped in silence.
///
/// ```
/// use std::time::Duration;
/// use purgatory::{CircuitBreakerFactory, Config};
///
/// const SLOW_START: Config = Config::new().ttl(Duration::from_secs(60)).success_threshold(3);
///
/// let factory = CircuitBreakerFactory::new();
/// let breaker = factory.get_breaker_with("payments", SLOW_START.threshold(10))?;
/// assert_eq!(breaker.settings().threshold, 10);
/// assert_eq!(breaker.settings().half_open_probes, 1); // the default
///
/// let error = factory.get_breaker_with("search", Config::new().threshold(0)).unwrap_err();
/// let text = r#"circuit "search": threshold must be 1 to 4294967295, not 0"#;
/// assert_eq!(error.to_string(), text);
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a config does nothing by itself, give it to a factory"]
#[non_exhaustive]
pub struct Config {
    /// What [`threshold`](Self::threshold()) was given.
    pub threshold: Option<u32>,
    /// What [`ttl`](Self::ttl()) was given.
    pub ttl: Option<Duration>,
    /// What [`half_open_probes`](Self::half_open_probes()) was given.
    pub half_open_probes: Option<u32>,
    /// What [`success_threshold`](Self::success_threshold()) was given.
    pub success_threshold: Option<u32>,
    /// What [`probe_lease`](Self::probe_lease()) was given.
    pub probe_lease: Option<Duration>,
    /// What [`shared`](Self::shared()) was given.
    pub shared: Option<bool>,
}

impl Config {
    /// The longest [`ttl`](Self::ttl()) and [`probe_lease`](Self::probe_lease()): 2^31 - 1 seconds,
    /// 68 years.
    pub const MAX_TTL: Duration = Duration::from_secs(i32::MAX as u64);

    /// The most [`half_open_probes`](Self::half_open_probes()): 1000.
    pub const MAX_PROBES: u32 = 1000;

    /// A config that asks for nothing.
    ///
    /// ```
    /// # use purgatory::Config;
    /// assert_eq!(Config::new(), Config::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            threshold: None,
            ttl: None,
            half_open_probes: None,
            success_threshold: None,
            probe_lease: None,
            shared: None,
        }
    }

    /// How many failures in a row trip the circuit. Default: 5. At least 1.
    ///
    /// ```
    /// # use purgatory::Config;
    /// let config = Config::new().threshold(3);
    /// ```
    #[doc(alias = "fail_max")]
    pub const fn threshold(mut self, failures: u32) -> Self {
        self.threshold = Some(failures);
        self
    }

    /// How long the circuit stays open before it admits a probe. Default: 30 s. More than zero, at
    /// most [`Config::MAX_TTL`].
    ///
    /// ```
    /// # use purgatory::Config;
    /// # use std::time::Duration;
    /// let config = Config::new().ttl(Duration::from_millis(500));
    /// ```
    #[doc(alias = "timeout")]
    #[doc(alias = "reset_timeout")]
    #[doc(alias = "wait_duration_in_open_state")]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How many probes may be out at a time while the circuit is half-open. Default: 1. At least 1,
    /// at most [`Config::MAX_PROBES`].
    ///
    /// ```
    /// # use purgatory::Config;
    /// let config = Config::new().half_open_probes(3);
    /// ```
    #[doc(alias = "permitted_number_of_calls_in_half_open_state")]
    pub const fn half_open_probes(mut self, probes: u32) -> Self {
        self.half_open_probes = Some(probes);
        self
    }

    /// How many probes must succeed to close the circuit. Default: 1. At least 1.
    ///
    /// It may be more than [`half_open_probes`](Self::half_open_probes()): a probe that succeeds makes
    /// room for the next. One failure opens the circuit again.
    ///
    /// ```
    /// # use purgatory::Config;
    /// let config = Config::new().success_threshold(3);
    /// ```
    pub const fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = Some(successes);
        self
    }

    /// How long a probe holds its place. Default: the ttl. More than zero, at most
    /// [`Config::MAX_TTL`].
    ///
    /// A probe that has not reported by then may still do so, and counts; but another call may be
    /// admitted in its place. So a probe that never comes back cannot keep its circuit half-open. If the
    /// circuit is shared, a probe whose place was given away has nothing to say any more.
    ///
    /// ```
    /// # use purgatory::Config;
    /// # use std::time::Duration;
    /// let config = Config::new().probe_lease(Duration::from_secs(5));
    /// ```
    pub const fn probe_lease(mut self, lease: Duration) -> Self {
        self.probe_lease = Some(lease);
        self
    }

    /// Whether the circuit is shared with other processes, if its factory has a
    /// [storage](crate::FactoryBuilder::storage); without one, no circuit is. Default: true.
    ///
    /// ```
    /// # use purgatory::Config;
    /// let config = Config::new().shared(false); // each process sees another replica
    /// ```
    pub const fn shared(mut self, shared: bool) -> Self {
        self.shared = Some(shared);
        self
    }

    /// What `self` asks for, and where it asks for nothing, what `other` asks for.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            threshold: self.threshold.or(other.threshold),
            ttl: self.ttl.or(other.ttl),
            half_open_probes: self.half_open_probes.or(other.half_open_probes),
            success_threshold: self.success_threshold.or(other.success_threshold),
            probe_lease: self.probe_lease.or(other.probe_lease),
            shared: self.shared.or(other.shared),
        }
    }

    /// The settings asked for, and the defaults of the crate for the rest.
    pub(crate) fn resolve(self) -> Settings {
        let ttl = self.ttl.unwrap_or(Settings::DEFAULT.ttl);
        Settings {
            threshold: self.threshold.unwrap_or(Settings::DEFAULT.threshold),
            ttl,
            half_open_probes: self.half_open_probes.unwrap_or(Settings::DEFAULT.half_open_probes),
            success_threshold: self
                .success_threshold
                .unwrap_or(Settings::DEFAULT.success_threshold),
            probe_lease: self.probe_lease.unwrap_or(ttl),
        }
    }

    /// Whether `settings` are what this asks for.
    pub(crate) fn agrees_with(self, settings: &Settings) -> bool {
        fn same<T: PartialEq>(asked: Option<T>, in_force: T) -> bool {
            asked.is_none_or(|asked| asked == in_force)
        }
        same(self.threshold, settings.threshold)
            && same(self.ttl, settings.ttl)
            && same(self.half_open_probes, settings.half_open_probes)
            && same(self.success_threshold, settings.success_threshold)
            && same(self.probe_lease, settings.probe_lease)
    }

    /// Finds a setting that breaks its rule.
    pub(crate) const fn check(&self) -> Result<(), Invalid> {
        if let Some(0) = self.threshold {
            return Err(Invalid::number("threshold", 0, "threshold must be 1 to 4294967295"));
        }
        if let Some(ttl) = self.ttl {
            if !is_ttl(ttl) {
                return Err(Invalid::time(
                    "ttl",
                    ttl,
                    "ttl must be more than zero and at most 2147483647 seconds",
                ));
            }
        }
        if let Some(probes) = self.half_open_probes {
            if probes == 0 || probes > Self::MAX_PROBES {
                return Err(Invalid::number(
                    "half_open_probes",
                    probes,
                    "half_open_probes must be 1 to 1000",
                ));
            }
        }
        if let Some(0) = self.success_threshold {
            return Err(Invalid::number(
                "success_threshold",
                0,
                "success_threshold must be 1 to 4294967295",
            ));
        }
        if let Some(lease) = self.probe_lease {
            if !is_ttl(lease) {
                return Err(Invalid::time(
                    "probe_lease",
                    lease,
                    "probe_lease must be more than zero and at most 2147483647 seconds",
                ));
            }
        }
        Ok(())
    }
}

const fn is_ttl(ttl: Duration) -> bool {
    !ttl.is_zero() && ttl.as_nanos() <= Config::MAX_TTL.as_nanos()
}

/// The settings that are in force for a circuit.
///
/// ```
/// use std::time::Duration;
/// use purgatory::CircuitBreakerFactory;
///
/// let settings = CircuitBreakerFactory::new().get_breaker("payments")?.settings();
/// assert_eq!(settings.threshold, 5);
/// assert_eq!(settings.ttl, Duration::from_secs(30));
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How many failures in a row trip the circuit, see [`Config::threshold()`].
    pub threshold: u32,
    /// How long the circuit stays open, see [`Config::ttl()`].
    pub ttl: Duration,
    /// How many probes may be out at a time, see [`Config::half_open_probes()`].
    pub half_open_probes: u32,
    /// How many probes must succeed to close the circuit, see [`Config::success_threshold()`].
    pub success_threshold: u32,
    /// How long a probe holds its place, see [`Config::probe_lease()`].
    pub probe_lease: Duration,
}

impl From<Settings> for Config {
    /// A config that asks for just these settings.
    fn from(settings: Settings) -> Self {
        Self {
            threshold: Some(settings.threshold),
            ttl: Some(settings.ttl),
            half_open_probes: Some(settings.half_open_probes),
            success_threshold: Some(settings.success_threshold),
            probe_lease: Some(settings.probe_lease),
            shared: None,
        }
    }
}

impl Settings {
    const DEFAULT: Self = Self {
        threshold: 5,
        ttl: Duration::from_secs(30),
        half_open_probes: 1,
        success_threshold: 1,
        probe_lease: Duration::from_secs(30),
    };
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
