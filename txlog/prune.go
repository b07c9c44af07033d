package txlog

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/lakectl/lakectl/internal/limits"
)

// Pruned says which files may hold a row that matches a predicate, and why the others cannot.
type Pruned struct {
	Kept        []int // indexes into Files, ascending
	ByPartition int   // files left out by their partition values
	ByStats     int   // files left out by their statistics
}

// pruneLeast is how many files are worth a goroutine of their own.
const pruneLeast = 2000

// Prune leaves out the files that cannot hold a row for which p is true, as [MayMatch] judges them; a nil p keeps all.
// Statistics that do not parse prove nothing.
//
// Errors: those of [Snapshot.LoadStats].
// Cost: no request, except for those of LoadStats, where p asks for more than partition values can tell. Files are judged
// side by side, and of their statistics only what p asks for is parsed.
func (s *Snapshot) Prune(ctx context.Context, p *Predicate) (Pruned, error) {
	schema, err := s.Schema()
	if err != nil {
		return Pruned{}, err
	}
	files := s.Files()
	if p == nil {
		out := Pruned{Kept: make([]int, files.Len())}
		for i := range out.Kept {
			out.Kept[i] = i
		}
		return out, nil
	}
	j := &pruning{files: files, predicate: p, columns: physicalColumns(p, schema, s.mapping)}
	j.judge = judge{schema: schema, mapping: s.mapping, columns: s.metadata.PartitionColumns}
	j.partitions()
	if j.stats = j.wantsStats(); j.stats {
		if err := s.LoadStats(ctx); err != nil {
			return Pruned{}, err
		}
	}
	parts := make([]Pruned, max(1, min(runtime.GOMAXPROCS(0), files.Len()/pruneLeast)))
	var wg sync.WaitGroup
	for n := range parts {
		wg.Go(func() { parts[n] = j.span(files.Len()*n/len(parts), files.Len()*(n+1)/len(parts)) })
	}
	wg.Wait()
	var out Pruned
	for _, part := range parts {
		out.Kept = append(out.Kept, part.Kept...)
		out.ByPartition += part.ByPartition
		out.ByStats += part.ByStats
	}
	return out, nil
}

// pruning is what the judgements of all files share.
type pruning struct {
	judge     judge
	files     *Files
	predicate *Predicate
	columns   []string // physical names of the outermost columns of the predicate
	possible  []bool   // by partition: a row may match
	stats     bool     // statistics can leave files out
}

// partitions judges each combination of partition values once: many files share one.
func (j *pruning) partitions() {
	j.possible = make([]bool, len(j.files.partitions))
	for n, values := range j.files.partitions {
		one := j.judge
		one.partition = values
		j.possible[n] = one.verdict(j.predicate, 0).mayBeTrue
	}
}

// wantsStats tells whether statistics can leave anything out: the predicate names a column that has them, and a file is
// left that has not been left out already.
func (j *pruning) wantsStats() bool {
	partitioned := map[string]bool{}
	for _, name := range j.judge.columns {
		if i, err := lookupField(j.judge.schema.Fields, name); err == nil {
			partitioned[j.judge.schema.Fields[i].PhysicalName(j.judge.mapping)] = true
		}
	}
	return slices.Contains(j.possible, true) && slices.ContainsFunc(j.columns, func(name string) bool { return !partitioned[name] })
}

func (j *pruning) span(from, to int) (out Pruned) {
	one := j.judge
	one.resolved = map[*Predicate]*resolvedColumn{}
	if !j.stats {
		for i := from; i < to; i++ {
			if j.possible[j.files.partition[i]] {
				out.Kept = append(out.Kept, i)
			} else {
				out.ByPartition++
			}
		}
		return out
	}
	parser := &statsParser{most: limits.Default().StatsBytes, columns: j.columns, reuse: &Stats{}}
	for i := from; i < to; i++ {
		if !j.possible[j.files.partition[i]] {
			out.ByPartition++
			continue
		}
		stats, err := (*Stats)(nil), error(nil)
		if text := j.files.StatsText(i); text != "" {
			stats, err = parser.parse(text)
		}
		if err == nil && stats != nil {
			one.file++
			one.partition, one.stats, one.hasDV = j.files.Partition(i), stats, j.files.DeletionVector(i) != nil
			if !one.verdict(j.predicate, 0).mayBeTrue {
				out.ByStats++
				continue
			}
		}
		out.Kept = append(out.Kept, i)
	}
	return out
}

// physicalColumns names the outermost columns of a predicate as statistics do. It is not nil.
func physicalColumns(p *Predicate, schema *Schema, mapping ColumnMapping) []string {
	out := []string{}
	var walk func(p *Predicate, depth int)
	walk = func(p *Predicate, depth int) {
		if p == nil || depth > predicateDepthMax {
			return
		}
		for _, a := range p.Args {
			walk(a, depth+1)
		}
		if len(p.Column) == 0 {
			return
		}
		if i, err := lookupField(schema.Fields, p.Column[0]); err == nil {
			if name := schema.Fields[i].PhysicalName(mapping); !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	walk(p, 0)
	return out
}
