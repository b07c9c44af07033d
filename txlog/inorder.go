package txlog

import "sync"

// inOrder does work side by side and takes its results in order, on the goroutine of the caller. Worker k of some has
// the items k, k + workers and so on; it gives the results of an item one by one, says which is the last, and stops where
// give says so. No worker is more than one result ahead of the caller. When all is taken, or at the first error in the
// order of the items, cancel is called, and the workers are waited for.
func inOrder[T any](workers, items int, cancel func(), work func(k int, give func(r T, last bool, err error) bool), take func(T) error) error {
	type result struct {
		r    T
		last bool
		err  error
	}
	results := make([]chan result, workers)
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer func() {
		close(stop)
		cancel()
	}()
	for k := range results {
		results[k] = make(chan result)
		wg.Go(func() {
			work(k, func(r T, last bool, err error) bool {
				select {
				case results[k] <- result{r, last, err}:
					return true
				case <-stop:
					return false
				}
			})
		})
	}
	for n := range items {
		for last := false; !last; {
			got := <-results[n%workers]
			if got.err == nil {
				got.err = take(got.r)
			}
			if got.err != nil {
				return got.err
			}
			last = got.last
		}
	}
	return nil
}
