// Writes to eventfds of other processes, which can make a writer wait: one whose counter is full, and whose open file
// does not say O_NONBLOCK (which is theirs to change at any moment, also after it was looked at).
#pragma once

namespace touka::runtime {

/// Adds one to the counter. Any thread. A thread of the process looks after all that write: who stands for half a
/// second is helped on by taking the count back, a second after the call at the latest.
/// @param fd an eventfd, open until the call returns.  @return false when it had to be helped: do not write again.
[[nodiscard]] bool raise_foreign(int fd);
/// Takes the count back to zero, without waiting. @return whether it was raised.
bool take_back_foreign(int fd);

} // namespace touka::runtime
