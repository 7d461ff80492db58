//! Virtual machines: one test binary, so that two machines never boot side by side under emulation.
//!
//! A case is a function in a file of `cases/`; a machine is slow to boot, so each host runs a list of cases on one. What ends
//! a machine goes last.

mod cases;
mod machines;
mod support;
