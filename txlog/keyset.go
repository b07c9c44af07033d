package txlog

import (
	"hash/maphash"
	"math"
)

// keySet remembers the keys of files. A replay may meet millions of them and asks each of them once, so it is a table of
// hashes beside the keys, which are kept as they are: half the memory of a map, and a third of its time.
type keySet struct {
	seed  maphash.Seed
	slots []uint64 // upper half of the hash, and the index into keys plus one; 0 is free
	keys  []string
}

const keySlotsLeast = 64

// add takes a key in and tells whether it is new.
func (s *keySet) add(key string) bool {
	if 2*len(s.keys) >= len(s.slots) {
		s.grow(2 * len(s.keys))
	}
	slot, found := s.find(key)
	if found {
		return false
	}
	s.put(slot, key)
	return true
}

func (s *keySet) put(slot uint64, key string) {
	s.keys = append(s.keys, key)
	s.slots[slot] |= uint64(len(s.keys))
}

// has tells whether the key was added.
func (s *keySet) has(key string) bool {
	if len(s.keys) == 0 {
		return false
	}
	slot, found := s.find(key)
	if !found {
		s.slots[slot] = 0
	}
	return found
}

// find returns the slot of a key, or the free one that it would take, marked with its hash.
func (s *keySet) find(key string) (slot uint64, found bool) {
	h := maphash.String(s.seed, key)
	mark, mask := h&^math.MaxUint32, uint64(len(s.slots)-1) //nolint:gosec // a count
	for slot = h & mask; s.slots[slot] != 0; slot = (slot + 1) & mask {
		if v := s.slots[slot]; v&^math.MaxUint32 == mark && s.keys[v&math.MaxUint32-1] == key {
			return slot, true
		}
	}
	s.slots[slot] = mark
	return slot, false
}

// grow makes room for n keys.
func (s *keySet) grow(n int) {
	size := keySlotsLeast
	for size < 2*n {
		size *= 2
	}
	if size <= len(s.slots) {
		return
	}
	if len(s.slots) == 0 {
		s.seed = maphash.MakeSeed()
	}
	keys := s.keys
	s.slots, s.keys = make([]uint64, size), make([]string, 0, max(n, len(keys)))
	for _, key := range keys {
		slot, _ := s.find(key)
		s.put(slot, key)
	}
}
