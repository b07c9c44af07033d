package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// lanes is how many checks run side by side: many of them use one core, or wait for a server.
func lanes() int { return min(2, runtime.NumCPU()) }

// order sorts checks for lanes: the heaviest first, so that none of them is left over for the end. Those that must run
// alone come after all others.
func order(checks []check) (shared, alone []int) {
	for n, c := range checks {
		if c.alone {
			alone = append(alone, n)
			continue
		}
		shared = append(shared, n)
	}
	slices.SortStableFunc(shared, func(a, b int) int { return cmp.Compare(checks[b].weight, checks[a].weight) })
	return shared, alone
}

// all runs every check once, side by side as far as they allow, and prints each as it ends.
func (p *programme) all(ctx context.Context, out io.Writer) ([]result, error) {
	var (
		mu      sync.Mutex // guards results and out; a leaf lock
		results []result
	)
	one := func(ctx context.Context, n int, further ...string) error {
		r, err := p.do(ctx, n, p.checks[n], 0, further...)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		results = append(results, r)
		print1(out, r, p.scale)
		return nil
	}
	shared, alone := order(p.checks)
	g, sharing := errgroup.WithContext(ctx)
	g.SetLimit(lanes())
	share := fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.NumCPU()/lanes()))
	for _, n := range shared {
		g.Go(func() error {
			if sharing.Err() != nil {
				return sharing.Err()
			}
			return one(sharing, n, share)
		})
	}
	if err := g.Wait(); err != nil {
		return results, err
	}
	for _, n := range alone {
		if err := one(ctx, n); err != nil {
			return results, err
		}
	}
	return results, nil
}
