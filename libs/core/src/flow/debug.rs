//! What may hold a secret shows its type alone when it is debugged, so that no log can give a value away by accident.

use std::fmt;

use super::{Check, Comparison, Control, DialogAction, Script, Source, Subject, Type};

macro_rules! named {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        }
    )*};
}

named!(Check, Comparison, Control, DialogAction, Script, Source, Subject, Type);
