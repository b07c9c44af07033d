package refmodel

import (
	"fmt"
	"strconv"

	"github.com/lakectl/lakectl/table"
)

// options is one way to keep a table; what its rows are must not depend on it.
type options struct {
	file       bool // the store is a folder
	interval   int  // commits between checkpoints
	vectors    bool // deletion vectors
	partition  []string
	stats      int    // columns with statistics
	targetSize string // of files; "" is the default
	structs    bool   // checkpoints with statistics as structs
	v2         bool   // checkpoints of version 2
	reopen     bool   // a new handle for every step
	mapping    string // mode of column mapping; "" is none
	feed       bool   // change data feed
	ids        bool   // row tracking
	rules      bool   // constraints that every row of the model satisfies
}

func (o options) String() string {
	return fmt.Sprintf("file=%t checkpoint=%d vectors=%t partition=%v stats=%d size=%q structs=%t v2=%t reopen=%t mapping=%q feed=%t ids=%t rules=%t",
		o.file, o.interval, o.vectors, o.partition, o.stats, o.targetSize, o.structs, o.v2, o.reopen, o.mapping, o.feed, o.ids, o.rules)
}

// constraints judge every row that is written, and change none. They leave out the columns that steps alter.
func (o options) constraints() []table.AddConstraint {
	if !o.rules {
		return nil
	}
	return []table.AddConstraint{
		{Name: "same", Expression: "id <=> id AND (d IS NULL OR d = d OR isnan(d))"},
		{Name: "range", Expression: "coalesce(year(day), 1900) >= 1900 AND (ts IS NULL OR ts > TIMESTAMP '1900-01-01T00:00:00Z')"},
		{Name: "known", Expression: "p IS NULL OR p IN ('a', 'b', 'c d', 'x=y/z%', 'ü:?')"},
	}
}

func (o options) properties() map[string]string {
	p := map[string]string{
		"delta.checkpointInterval":             strconv.Itoa(o.interval),
		"delta.enableDeletionVectors":          strconv.FormatBool(o.vectors),
		"delta.dataSkippingNumIndexedCols":     strconv.Itoa(o.stats),
		"delta.checkpoint.writeStatsAsStruct":  strconv.FormatBool(o.structs),
		"delta.checkpoint.writeStatsAsJson":    strconv.FormatBool(!o.structs),
		"delta.dataSkippingStringPrefixLength": "32",
	}
	if o.targetSize != "" {
		p["delta.targetFileSize"] = o.targetSize
	}
	if o.mapping != "" {
		p["delta.columnMapping.mode"] = o.mapping
	}
	if o.feed {
		p["delta.enableChangeDataFeed"] = "true"
	}
	if o.ids {
		p["delta.enableRowTracking"] = "true"
	}
	if o.v2 {
		p["delta.checkpointPolicy"] = "v2"
	}
	return p
}

// optionSets are the sets that runs choose from. Each value of an option meets most values of each other.
func optionSets() []options {
	var out []options
	partitions := [][]string{nil, {"p"}, {"day"}, {"p", "k"}, nil, {"ts"}, {"d"}}
	for i := range 24 {
		out = append(out, options{
			file: i%8 == 5, interval: []int{1, 2, 10}[i%3], vectors: i%4 != 3,
			partition: partitions[i%len(partitions)], stats: []int{32, 32, 0, 32, 3}[(i/2)%5], targetSize: []string{"", "2kb", ""}[(i/3)%3],
			structs: i%2 == 1, v2: i%6 == 4, reopen: (i/2)%2 == 1, mapping: []string{"", "name", "", "id", ""}[i%5],
			feed: (i/2)%3 == 1, ids: i%7 == 2 || i%9 == 4, rules: i%3 == 2,
		})
	}
	return out
}
