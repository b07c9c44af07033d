// Package limits names every bound that lakectl puts on what it reads, keeps and tries (architecture, law 7).
//
// Bytes from outside are measured against a limit first and parsed second. Whatever is over one ends in an [*Error]
// that names the limit and the setting of lake.yml that raises it.
package limits

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits holds the bounds. Start from [Default]; a field of zero or less means its default (see Limits.Filled).
type Limits struct {
	LogLineBytes          int64 // bytes of one line of a commit
	CommitBytes           int64 // bytes of one commit, read or written
	ActionsPerCommit      int64 // lines of one commit
	SchemaBytes           int64 // bytes of a schemaString
	SchemaDepth           int64 // nesting of types
	Columns               int64 // leaves of a schema
	StatsBytes            int64 // bytes of the statistics of one file
	DeletionVectorBits    int64 // rows in one deletion vector
	DeletionVectorBytes   int64 // bytes of one deletion vector
	CheckpointRows        int64 // actions of one checkpoint
	CheckpointBytes       int64 // bytes of one checkpoint file or sidecar
	CheckpointParts       int64 // parts or sidecars of one checkpoint
	LogObjects            int64 // objects that one listing of _delta_log may yield
	CommitsPerReplay      int64 // commits replayed on top of a checkpoint
	HintBytes             int64 // bytes of _last_checkpoint and version checksums
	ParquetFooterBytes    int64 // bytes of a Parquet footer
	ParquetPageBytes      int64 // bytes of a Parquet page, packed or not
	ParquetPageValues     int64 // values of one Parquet page
	ParquetRowGroups      int64 // row groups of one Parquet file
	ParquetValueBytes     int64 // bytes of one value in a Parquet file
	CommitAttempts        int64 // PUTs sent at one version, and times that a change is computed anew after a conflict
	CommitRaces           int64 // versions that one commit may lose to others
	FilesPerPlan          int64 // landing files that one plan takes
	LineBytes             int64 // bytes of one line of a landing file
	RescuedBytes          int64 // bytes of the rescued columns of one row
	ValidateDistinct      int64 // distinct values that a check holds
	IntervalBuckets       int64 // interval buckets of one plan
	IntervalsPerBackfill  int64 // intervals of one backfill
	Models                int64 // models of one project
	PlanBytes             int64 // bytes of one plan object
	EventQueue            int64 // events waiting to be written
	AlertQueue            int64 // alerts waiting to be sent
	DashboardRequestBytes int64 // bytes of one request to the dashboard
}

// entry is a limit by the name under which lake.yml sets it.
type entry struct {
	name    string
	bytes   bool // a size rather than a count
	initial int64
}

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// entries lists the limits in the order of the fields.
func entries() []entry {
	return []entry{
		{"log_line_bytes", true, 64 * mib},
		{"commit_bytes", true, gib},
		{"actions_per_commit", false, 1_000_000},
		{"schema_bytes", true, 32 * mib},
		{"schema_depth", false, 64},
		{"columns", false, 10_000},
		{"stats_bytes", true, 16 * mib},
		{"deletion_vector_bits", false, 1_000_000_000},
		{"deletion_vector_bytes", true, 512 * mib},
		{"checkpoint_rows", false, 50_000_000},
		{"checkpoint_bytes", true, 8 * gib},
		{"checkpoint_parts", false, 10_000},
		{"log_objects", false, 5_000_000},
		{"commits_per_replay", false, 1_000_000},
		{"hint_bytes", true, 64 * mib},
		{"parquet_footer_bytes", true, 64 * mib},
		{"parquet_page_bytes", true, 512 * mib},
		{"parquet_page_values", false, 20_000_000},
		{"parquet_row_groups", false, 100_000},
		{"parquet_value_bytes", true, 256 * mib},
		{"commit_attempts", false, 10},
		{"commit_races", false, 1_000},
		{"files_per_plan", false, 10_000},
		{"line_bytes", true, 16 * mib},
		{"rescued_bytes", true, mib},
		{"validate_distinct", false, 5_000_000},
		{"interval_buckets", false, 10_000},
		{"intervals_per_backfill", false, 100_000},
		{"models", false, 5_000},
		{"plan_bytes", true, 16 * mib},
		{"event_queue", false, 10_000},
		{"alert_queue", false, 1_000},
		{"dashboard_request_bytes", true, mib},
	}
}

// field is where the limit of a name stands; nil if there is none. Limits are looked up for each action of a log, so this is
// no table that would have to be built.
func (l *Limits) field(name string) *int64 {
	switch name {
	case "log_line_bytes":
		return &l.LogLineBytes
	case "commit_bytes":
		return &l.CommitBytes
	case "actions_per_commit":
		return &l.ActionsPerCommit
	case "schema_bytes":
		return &l.SchemaBytes
	case "schema_depth":
		return &l.SchemaDepth
	case "columns":
		return &l.Columns
	case "stats_bytes":
		return &l.StatsBytes
	case "deletion_vector_bits":
		return &l.DeletionVectorBits
	case "deletion_vector_bytes":
		return &l.DeletionVectorBytes
	case "checkpoint_rows":
		return &l.CheckpointRows
	case "checkpoint_bytes":
		return &l.CheckpointBytes
	case "checkpoint_parts":
		return &l.CheckpointParts
	case "log_objects":
		return &l.LogObjects
	case "commits_per_replay":
		return &l.CommitsPerReplay
	case "hint_bytes":
		return &l.HintBytes
	case "parquet_footer_bytes":
		return &l.ParquetFooterBytes
	case "parquet_page_bytes":
		return &l.ParquetPageBytes
	case "parquet_page_values":
		return &l.ParquetPageValues
	case "parquet_row_groups":
		return &l.ParquetRowGroups
	case "parquet_value_bytes":
		return &l.ParquetValueBytes
	case "commit_attempts":
		return &l.CommitAttempts
	case "commit_races":
		return &l.CommitRaces
	case "files_per_plan":
		return &l.FilesPerPlan
	case "line_bytes":
		return &l.LineBytes
	case "rescued_bytes":
		return &l.RescuedBytes
	case "validate_distinct":
		return &l.ValidateDistinct
	case "interval_buckets":
		return &l.IntervalBuckets
	case "intervals_per_backfill":
		return &l.IntervalsPerBackfill
	case "models":
		return &l.Models
	case "plan_bytes":
		return &l.PlanBytes
	case "event_queue":
		return &l.EventQueue
	case "alert_queue":
		return &l.AlertQueue
	case "dashboard_request_bytes":
		return &l.DashboardRequestBytes
	}
	return nil
}

// Default returns the bounds that hold when nobody says otherwise.
func Default() Limits { return Limits{}.Filled() }

// Filled returns l with every field that is zero or less set to its default.
func (l Limits) Filled() Limits {
	for _, e := range entries() {
		if p := l.field(e.name); *p <= 0 {
			*p = e.initial
		}
	}
	return l
}

// Names lists the limits as lake.yml spells them, sorted.
func Names() []string {
	var names []string
	for _, e := range entries() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

// Set changes one limit by its name in lake.yml. The text is a positive whole number; where the limit counts bytes
// a unit may follow: KB, MB, GB, KiB, MiB, GiB, each 1024-fold, without regard to case.
func (l *Limits) Set(name, text string) error {
	for _, e := range entries() {
		if e.name != name {
			continue
		}
		v, err := parse(text, e.bytes)
		if err != nil {
			return fmt.Errorf("limits.%s: %w", name, err)
		}
		*l.field(name) = v
		return nil
	}
	return fmt.Errorf("unknown limit %q", name)
}

// Value returns one limit by its name in lake.yml.
func (l *Limits) Value(name string) (int64, bool) {
	p := l.field(name)
	if p == nil {
		return 0, false
	}
	return *p, true
}

func parse(text string, bytes bool) (int64, error) {
	digits, factor := strings.TrimSpace(text), int64(1)
	if bytes {
		lower := strings.ToLower(digits)
		for _, u := range []struct {
			suffix string
			factor int64
		}{{"kib", kib}, {"mib", mib}, {"gib", gib}, {"kb", kib}, {"mb", mib}, {"gb", gib}, {"b", 1}} {
			if strings.HasSuffix(lower, u.suffix) {
				digits, factor = strings.TrimSpace(lower[:len(lower)-len(u.suffix)]), u.factor
				break
			}
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v <= 0 || v > (1<<62)/factor {
		if bytes {
			return 0, fmt.Errorf("%q is not a size such as 1048576 or 16MB", text)
		}
		return 0, fmt.Errorf("%q is not a positive whole number", text)
	}
	return v * factor, nil
}

// Error says that something is over a limit. Terminal: raise the limit or make the thing smaller.
type Error struct {
	Limit   string // name of the limit, as in lake.yml: "log_line_bytes"
	Value   int64  // what was met; where the reader stopped at the limit, the least that it can be
	Max     int64  // what is allowed
	Setting string // where it is raised: "limits.log_line_bytes"
}

// Error names limit, value and setting.
func (e *Error) Error() string {
	value, most := strconv.FormatInt(e.Value, 10), strconv.FormatInt(e.Max, 10)
	if strings.HasSuffix(e.Limit, "_bytes") {
		value, most = size(e.Value), size(e.Max)
	}
	return fmt.Sprintf("limit %s: %s is over %s; raise %s in lake.yml", e.Limit, value, most, e.Setting)
}

// Check returns an [*Error] when value is over the limit of that name, else nil. An unknown name never fails.
func (l *Limits) Check(name string, value int64) error {
	limit, ok := l.Value(name)
	if !ok || value <= limit {
		return nil
	}
	return Over(name, value, limit)
}

// Over builds the error of a limit.
func Over(name string, value, limit int64) *Error {
	return &Error{Limit: name, Value: value, Max: limit, Setting: "limits." + name}
}

// size prints bytes the way people read them, exact below one KiB.
func size(n int64) string {
	switch {
	case n >= gib:
		return trim(float64(n)/float64(gib)) + " GB"
	case n >= mib:
		return trim(float64(n)/float64(mib)) + " MB"
	case n >= kib:
		return trim(float64(n)/float64(kib)) + " KB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

func trim(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}
