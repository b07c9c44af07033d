package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/lakectl/lakectl/objectstore"
)

func raceCases() []testCase {
	return []testCase{
		{"create race has one winner and its body", createRace},
		{"create race of large objects", createRaceLarge},
		{"swap race has one winner per etag", swapRace},
		{"counter by swap loses no step", counterBySwap},
		{"readers see whole objects while they are replaced", wholeObjects},
		{"delete and swap do not resurrect", deleteSwapRace},
		{"both clients see a write at once", func(f fixture) {
			for i := range 20 {
				key := fmt.Sprintf("k%d", i)
				f.putIf(key, key, objectstore.CreateOnly)
				g := f
				g.Store = f.other
				g.holds(key, key)
				g.putFails(key, objectstore.CreateOnly, objectstore.ErrExists)
				g.delete(key)
				f.absent(key)
			}
		}},
	}
}

// inParallel runs do(0) … do(n-1) on so many goroutines and fails the test with the first error.
func inParallel(f fixture, workers, n int, do func(i int) error) {
	f.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		f.Fatal(err)
	}
}

// client alternates between the two.
func (f fixture) client(i int) objectstore.Store {
	if i%2 == 0 {
		return f.Store
	}
	return f.other
}

const contenders = 16

func createRace(f fixture) {
	const keys = 20
	for k := range keys {
		key := fmt.Sprintf("race/%d", k)
		var wins atomic.Int64
		winner := make([]string, contenders)
		inParallel(f, contenders, contenders, func(i int) error {
			body := fmt.Sprintf("contender %d of key %d", i, k)
			_, err := f.client(i).Put(f.Context(), key, objectstore.Bytes([]byte(body)), objectstore.CreateOnly)
			switch {
			case err == nil:
				wins.Add(1)
				winner[i] = body
			case !errors.Is(err, objectstore.ErrExists):
				return fmt.Errorf("contender %d: %w", i, err)
			}
			return nil
		})
		if wins.Load() != 1 {
			f.Fatalf("key %s has %d winners", key, wins.Load())
		}
		for _, body := range winner {
			if body != "" {
				f.holds(key, body)
			}
		}
	}
}

func createRaceLarge(f fixture) {
	var wins atomic.Int64
	var won atomic.Int64
	inParallel(f, 4, 4, func(i int) error {
		_, err := f.client(i).Put(f.Context(), "big", objectstore.Bytes(noise(uint64(100+i), 6<<20)), objectstore.CreateOnly)
		if err == nil {
			wins.Add(1)
			won.Store(int64(i))
		} else if !errors.Is(err, objectstore.ErrExists) {
			return err
		}
		return nil
	})
	if wins.Load() != 1 {
		f.Fatalf("%d winners", wins.Load())
	}
	f.holds("big", string(noise(uint64(100+won.Load()), 6<<20)))
}

func swapRace(f fixture) {
	info := f.put("lease", "start")
	for round := range 20 {
		var wins atomic.Int64
		next := make([]objectstore.Info, contenders)
		inParallel(f, contenders, contenders, func(i int) error {
			body := fmt.Sprintf("holder %d in round %d", i, round)
			got, err := f.client(i).Put(f.Context(), "lease", objectstore.Bytes([]byte(body)), ifMatch(info.ETag))
			switch {
			case err == nil:
				wins.Add(1)
				next[i] = got
			case !errors.Is(err, objectstore.ErrPrecondition):
				return fmt.Errorf("contender %d: %w", i, err)
			}
			return nil
		})
		if wins.Load() != 1 {
			f.Fatalf("round %d has %d winners", round, wins.Load())
		}
		for i, got := range next {
			if got.ETag != "" {
				f.holds("lease", fmt.Sprintf("holder %d in round %d", i, round))
				info = got
			}
		}
	}
}

func counterBySwap(f fixture) {
	f.put("counter", "0")
	const workers, steps = 6, 8
	inParallel(f, workers, workers, func(i int) error {
		s := f.client(i)
		for done := 0; done < steps; {
			b, info, err := read(f.Context(), s, "counter", objectstore.Range{})
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(b))
			if err != nil {
				return err
			}
			_, err = s.Put(f.Context(), "counter", objectstore.Bytes([]byte(strconv.Itoa(n+1))), ifMatch(info.ETag))
			if err == nil {
				done++
			} else if !errors.Is(err, objectstore.ErrPrecondition) {
				return err
			}
		}
		return nil
	})
	f.holds("counter", strconv.Itoa(workers*steps))
}

func wholeObjects(f fixture) {
	bodies := map[string]bool{}
	for i := range 3 {
		bodies[string(noise(uint64(i), 200_000+i*1000))] = true
	}
	f.put("a", string(noise(0, 200_000)))
	inParallel(f, 4, 60, func(i int) error {
		if i%2 == 0 {
			n := i / 2 % 3
			_, err := f.client(i/2).Put(f.Context(), "a", objectstore.Bytes(noise(uint64(n), 200_000+n*1000)), objectstore.Condition{})
			return err
		}
		b, info, err := read(f.Context(), f.client(i/2), "a", objectstore.Range{})
		if err == nil && (!bodies[string(b)] || info.Size != int64(len(b))) {
			err = fmt.Errorf("a reader saw %d bytes that nobody wrote, info %+v", len(b), info)
		}
		return err
	})
}

func deleteSwapRace(f fixture) {
	for round := range 20 {
		info := f.put("a", "one")
		var swapped atomic.Bool
		inParallel(f, 2, 2, func(i int) error {
			if i == 0 {
				return f.Delete(f.Context(), "a")
			}
			_, err := f.other.Put(f.Context(), "a", objectstore.Bytes([]byte("two")), ifMatch(info.ETag))
			swapped.Store(err == nil)
			if err != nil && !errors.Is(err, objectstore.ErrNotFound) && !errors.Is(err, objectstore.ErrPrecondition) {
				return err
			}
			return nil
		})
		_, _, err := read(f.Context(), f, "a", objectstore.Range{})
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			f.Fatal(err)
		}
		if err == nil {
			f.Fatalf("round %d: an object is left though one was deleted (swap won: %v)", round, swapped.Load())
		}
	}
}
