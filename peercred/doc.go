// Package peercred is the first station in the way of the data: it takes a
// connection from the kernel and hands to the session the same connection and
// who is at its other end.
//
//	client ── connect ──▶ kernel ── SO_PEERCRED ──▶ peercred ── conn, Cred ──▶ session
//
// # What the credentials prove
//
// The kernel records the effective uid and gid of the process that called
// connect, at that moment, translated into the user namespace of the reader.
// Nothing that the client sends can change them. They prove who connected, not
// who writes now: a descriptor may be inherited or passed on, and the process
// may have changed its uid since. The client reads the same of the server:
// the uid that called listen.
//
// They do not prove which process it is. A pid is reused, and it is 0 where the
// peer lives in another pid namespace, as containers of one pod do; so the pid
// is for logs alone and decides nothing. Where the kernel has SO_PEERPIDFD, the log
// also says whether that process had ended by then. A uid that has no translation into the
// namespace of the reader is shown as the overflow uid, 65534, whoever it is in
// truth: it names nobody and is refused with an *OverflowError.
//
// # Who may connect
//
// A [Policy] lists uids and gids. A peer is allowed if its uid is listed, or its
// gid, or one of its supplementary groups. A policy that lists nothing allows the
// uid of this process and no other.
//
// # How the socket comes to be
//
// [Listen] MUST NOT let anyone connect to a socket whose permissions are not yet
// right, MUST NOT replace what is not a dead socket of its own, and MUST NOT run
// beside another instance. So, in this order:
//
//	1 length      the path fits into sun_path (107 bytes and a NUL)
//	2 directory   owned by this uid or root; not writable by others, or sticky
//	3 lock        PATH.lock, an exclusive flock held until Close
//	4 old path    absent, or a socket of this uid that refuses connections
//	5 bind        to a private name in the same directory, mode 0600 from its
//	              first moment: the mode is set on the descriptor before the bind
//	6 permissions group, then mode
//	7 rename      onto PATH, in one step, over a dead socket
//
// A crash between any two of these leaves at most a dead socket, which the next
// start replaces, and a lock file without a lock. The abstract namespace is never
// used: it has no permissions.
//
// The directories above that of the socket are not looked at: the shared volume of
// a pod is open to all of its containers, who thus can put another socket in the
// place of this one. A client notices by asking for [ServerCred] before it sends
// anything.
//
// [Listener.Close] removes PATH only if it is still the socket that was bound,
// and then gives up the lock.
//
// # What else lives here
//
// This package alone, with the store, speaks to the kernel directly. So it also
// holds the lock of a home ([LockFile]), the check of private files and folders
// ([CheckPrivate], [ReadPrivate]), the count of descriptors ([Descriptors]) and
// the hardening of the process ([Harden]).
package peercred
