//! The names of circuits.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::error::ConfigError;

/// The name of a circuit: 1 to 255 bytes of UTF-8 without control characters.
///
/// It derefs to `str` and is cheap to clone. So that a rejection can carry its circuit's name
/// without touching a counter that other threads write, the first 4096 distinct names of a process
/// are kept for as long as it runs (at most 1 MiB); later ones are reference counted.
///
/// ```
/// use purgatory::Name;
///
/// let name = Name::new("payments")?;
/// assert_eq!(&*name, "payments");
/// let error = Name::new("").unwrap_err();
/// assert_eq!(error.to_string(), r#"name must be 1 to 255 bytes, not """#);
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Name(Repr);

#[derive(Clone)]
enum Repr {
    Kept(&'static str),
    Counted(Arc<str>),
}

impl Name {
    /// The longest name there can be, in bytes.
    pub const MAX_LEN: usize = 255;

    /// A name, if `name` can be one.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than [`Name::MAX_LEN`] bytes, or has a control character.
    ///
    /// ```
    /// # use purgatory::Name;
    /// assert!(Name::new("svc/1 (eu)").is_ok());
    /// assert!(Name::new("two\nlines").is_err());
    /// ```
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        match check(name) {
            Ok(()) => Ok(Self::keep(name)),
            Err(rule) => Err(ConfigError::new("name", shortened(name), rule)),
        }
    }

    /// A name that lives in the program.
    ///
    /// # Panics
    ///
    /// If it cannot be one. In a `static`, that is an error of the compiler.
    pub(crate) const fn from_static(name: &'static str) -> Self {
        match check(name) {
            Ok(()) => Self(Repr::Kept(name)),
            Err(rule) => panic!("{}", rule),
        }
    }

    /// A name made from any text: control characters become U+FFFD, what is beyond
    /// [`Name::MAX_LEN`] bytes is cut off, and nothing at all becomes U+FFFD too.
    pub(crate) fn from_lossy(text: &str) -> Self {
        if check(text).is_ok() {
            return Self::keep(text);
        }
        let mut clean = String::with_capacity(Self::MAX_LEN);
        for c in text.chars() {
            let c = if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
            if clean.len() + c.len_utf8() > Self::MAX_LEN {
                break;
            }
            clean.push(c);
        }
        if clean.is_empty() {
            clean.push(char::REPLACEMENT_CHARACTER);
        }
        Self::keep(&clean)
    }

    fn keep(name: &str) -> Self {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&name) = kept.get(name) {
            Self(Repr::Kept(name))
        } else if kept.len() < MAX_KEPT {
            let name: &'static str = Box::leak(Box::from(name));
            kept.insert(name);
            Self(Repr::Kept(name))
        } else {
            Self(Repr::Counted(Arc::from(name)))
        }
    }
}

/// `Err` is the rule that is broken.
const fn check(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > Name::MAX_LEN {
        return Err("name must be 1 to 255 bytes");
    }
    let mut i = 0;
    while i < bytes.len() {
        // The control characters are U+0000 to U+001F, U+007F, and U+0080 to U+009F (C2 80 to C2 9F).
        let c1 = i > 0 && bytes[i - 1] == 0xC2 && bytes[i] < 0xA0;
        if bytes[i] < 0x20 || bytes[i] == 0x7F || c1 {
            return Err("name must be without control characters");
        }
        i += 1;
    }
    Ok(())
}

/// What may be a name, of any length, for a message.
pub(crate) fn shortened(name: &str) -> String {
    match name.char_indices().nth(60) {
        None => format!("{name:?}"),
        Some((end, _)) => format!("{:?}... ({} bytes)", &name[..end], name.len()),
    }
}

const MAX_KEPT: usize = 4096;

static KEPT: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

impl Deref for Name {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match &self.0 {
            Repr::Kept(name) => name,
            Repr::Counted(name) => name,
        }
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self
    }
}

// `Borrow` promises that a name compares and hashes as its text does: by hand, as `Repr` does not.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str) -> &'static str {
        check(name).unwrap_err()
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert_eq!(rule(""), "name must be 1 to 255 bytes");
        assert!(check(&"é".repeat(127)).is_ok());
        assert!(check(&"x".repeat(255)).is_ok());
        assert_eq!(rule(&"é".repeat(128)), "name must be 1 to 255 bytes");
    }

    #[test]
    fn control_characters_are_those_of_unicode() {
        for c in (0..=0x2FF).filter_map(char::from_u32) {
            let name = format!("a{c}b");
            assert_eq!(check(&name).is_err(), c.is_control(), "{c:?}");
        }
    }

    #[test]
    fn lossy_names_are_names() {
        let long = "é".repeat(200);
        for (text, name) in [
            ("", "\u{FFFD}"),
            ("plain", "plain"),
            ("a\0b\n", "a\u{FFFD}b\u{FFFD}"),
            (long.as_str(), &"é".repeat(127)),
        ] {
            assert_eq!(Name::from_lossy(text), *name);
            assert!(check(&Name::from_lossy(text)).is_ok());
        }
    }

    #[test]
    fn a_name_is_kept_once() {
        let (a, b) = (Name::new("kept once").unwrap(), Name::new("kept once").unwrap());
        assert!(std::ptr::eq(&*a, &*b));
    }
}
