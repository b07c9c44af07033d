package txlog

import (
	"iter"
	"maps"
	"slices"
)

// Domains yields the metadata domains that are not removed, sorted by name, those of unknown features included.
func (s *Snapshot) Domains() iter.Seq[DomainMetadata] {
	return func(yield func(DomainMetadata) bool) {
		for _, name := range slices.Sorted(maps.Keys(s.domains)) {
			if !yield(s.domains[name]) {
				return
			}
		}
	}
}
