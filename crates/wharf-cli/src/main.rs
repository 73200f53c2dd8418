//! The program `wharf`.

fn main() {}
