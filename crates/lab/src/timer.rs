//! Waits shorter than a millisecond.
//!
//! The runtime's own timers tick once a millisecond; a lock wait shows after 0.2 ms and a run is a few
//! milliseconds long, so the lab waits on a timer of the kernel instead (timerfd_create(2)).

use std::io;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// A reusable timer; one wait at a time.
pub struct Timer {
    /// The timer's descriptor. Read like a pipe: a readable one yields the eight bytes of its count.
    fd: Receiver,
}

impl Timer {
    /// Makes a timer on the current runtime.
    ///
    /// # Errors
    /// When the kernel refuses another descriptor.
    pub fn new() -> io::Result<Self> {
        let fd = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        Ok(Self {
            fd: Receiver::from_owned_fd_unchecked(fd)?,
        })
    }

    /// Resolves after `wait`. Dropping the future and calling again starts a new wait.
    ///
    /// # Errors
    /// When the kernel refuses the wait; never in practice.
    pub async fn wait(&mut self, wait: Duration) -> io::Result<()> {
        let value = Timespec {
            tv_sec: wait.as_secs().cast_signed(),
            // A zero would disarm the timer instead of firing it at once.
            tv_nsec: i64::from(wait.subsec_nanos().max(1)),
        };
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // Setting the time also clears an expiry that an abandoned wait left unread.
        timerfd_settime(
            &self.fd,
            TimerfdTimerFlags::empty(),
            &Itimerspec {
                it_interval: none,
                it_value: value,
            },
        )?;
        loop {
            self.fd.readable().await?;
            let mut count = [0_u8; 8];
            match self.fd.try_read(&mut count) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(|_| ()),
            }
        }
    }
}
