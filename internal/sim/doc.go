// Package sim runs real code of the lake under every order of its store calls.
//
// All shared state is in the object store, so ordering the calls on it orders everything. Each actor gets a [Store] of
// its own over one world of objects; a call registers itself and waits on its own channel: it is parked. When all
// goroutines of the bubble (testing/synctest) are parked, asleep or gone, exactly one event happens: a call is
// answered, answered with a fault, its actor crashes, a late PUT arrives, or time runs on to the next timer. An
// [Odometer] turns through all choices, so that [Explore] visits each schedule once, all of them or all that stay
// within a number of preemptions.
//
// What runs in the bubble must hold no lock across a store call (a goroutine that waits for a mutex is not durably
// blocked, so the scheduler would wait for ever), must not depend on the order of a map or on which case of a select
// wins, and must do no real I/O. [Explore] stops at the first sign that the same choices led to other calls.
package sim
