//! Why a test failed, and where.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::panic::Location;

use abi::error::{Error, Result};

/// What a test returns.
pub type Outcome<T = ()> = core::result::Result<T, Failure>;

/// Why and where a test failed.
#[derive(Clone, Debug)]
pub struct Failure {
    why: String,
    errno: Option<i32>,
    at: &'static Location<'static>,
}

impl Failure {
    /// A failure at the caller's place.
    #[track_caller]
    pub fn new(why: impl Into<String>) -> Failure {
        Failure { why: why.into(), errno: None, at: Location::caller() }
    }

    /// The same, and in the midst of what.
    pub fn within(self, what: &str) -> Failure {
        Failure { why: format!("{what}: {}", self.why), ..self }
    }

    /// Whether it is this error of a call.
    pub fn is(&self, errno: i32) -> bool {
        self.errno == Some(errno)
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Failure {
        let why = format!("{error} (errno {})", error.errno);
        Failure { why, errno: Some(error.errno), at: Location::caller() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.at.file(), self.at.line(), self.why)
    }
}

/// Fails unless both are equal.
#[track_caller]
pub fn equal<T: PartialEq + fmt::Debug>(found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!("found {found:?}, expected {expected:?}")))
}

/// Fails unless it holds.
#[track_caller]
pub fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::new(format!("not so: {what}"))) }
}

/// Fails unless the call failed with this errno.
#[track_caller]
pub fn refused<T: fmt::Debug>(result: Result<T>, errno: i32) -> Outcome {
    refused_with(result, &[errno])
}

/// Fails unless the call failed with one of these: where two errors apply, either is right.
#[track_caller]
pub fn refused_with<T: fmt::Debug>(result: Result<T>, errnos: &[i32]) -> Outcome {
    match result {
        Err(error) if errnos.contains(&error.errno) => Ok(()),
        Err(error) => {
            Err(Failure::new(format!("error {} ({error}), expected one of {errnos:?}", error.errno)))
        }
        Ok(value) => Err(Failure::new(format!("succeeded with {value:?}, expected error {errnos:?}"))),
    }
}
