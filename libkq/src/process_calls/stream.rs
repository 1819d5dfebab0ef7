//! What happens to the processes that an event queue watches: the other end of a stream of the process service.
