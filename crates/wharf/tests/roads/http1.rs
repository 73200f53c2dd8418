//! HTTP/1.1 on TCP.

type Site = crate::support::Site;
type Client = crate::support::Client;

/// A reset is told as such, and not as an end in order.
const TELLS_RESETS: bool = true;

#[path = "closing.rs"]
mod closing;
#[path = "control_frames.rs"]
mod control_frames;
#[path = "send_frame.rs"]
mod send_frame;
#[path = "violations.rs"]
mod violations;
