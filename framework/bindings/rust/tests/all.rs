//! The crate against the library, within one process; as a supervised child it is tested in tests/capi.
mod actors;
mod support;
mod values;
