//! Values with their places: where in the text something stands, and under which dotted path.

use crate::diagnostics::{Diagnostic, Span};

/// Where a key and its value stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The dotted TOML path; an item of an array has its index in brackets.
    pub path: String,
    /// The key; for an item of an array, the item.
    pub key: Span,
    /// The value; for a table with a header of its own, the header.
    pub value: Span,
}

impl Place {
    /// An error that points at the value.
    pub fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, &self.path, self.value.clone(), message)
    }

    /// An error that points at the key.
    pub fn key_error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, &self.path, self.key.clone(), message)
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T> At<T> {
    /// Another value at the same place.
    pub fn with<U>(&self, value: U) -> At<U> {
        At { value, place: self.place.clone() }
    }
}

/// What stands under a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The key is there and its value was reported: nothing more is to be said about it.
    Bad,
    /// A value of the right type.
    Given(At<T>),
}

impl<T> Field<T> {
    /// The value, if there is a good one.
    pub fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Bad => None,
        }
    }

    /// Whether the key is not there at all.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// An array. Items of a wrong type are reported and left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T> {
    /// The good items in order.
    pub items: Vec<At<T>>,
    /// Whether none was left out.
    pub complete: bool,
}

impl<T> Field<List<T>> {
    /// The good items; none if the key is absent.
    pub fn items(&self) -> &[At<T>] {
        self.given().map_or(&[], |list| &list.value.items)
    }

    /// Whether what `items` gives is all that was written.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Bad => false,
            Self::Given(list) => list.value.complete,
        }
    }
}
