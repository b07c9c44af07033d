package pipeline

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// Plan says exactly what one task consumes. It is the object `_lake/plans/<model>/<N>.json`, created once and never
// changed; running it twice gives the same rows, and its fence lets them in once.
type Plan struct {
	N          int64           `json:"plan"`
	Model      string          `json:"model"`
	Kind       Kind            `json:"kind"`
	Run        string          `json:"run"`
	AsOf       time.Time       `json:"as_of"`
	Engine     string          `json:"engine"`
	Code       string          `json:"code"` // "sha256:…" of what decides the rows
	Target     PlanTarget      `json:"target"`
	Quarantine *PlanQuarantine `json:"quarantine,omitempty"` // nil: the side table did not exist
	Sources    []PlanSource    `json:"sources,omitempty"`
	Files      []PlanFile      `json:"files,omitempty"`   // KindIngest
	Restart    string          `json:"restart,omitempty"` // KindMerge: full_refresh, resume_at; "": goes on where the table is

	hash    string // of the object's bytes
	resumed bool
	created bool
}

// PlanTarget pins the table that the plan changes.
type PlanTarget struct {
	ID      string         `json:"id,omitempty"` // metaData.id; "" when the plan creates the table
	Version *txlog.Version `json:"version,omitempty"`
	Task    int64          `json:"task"` // number of the last landed plan; 0: none
}

// PlanQuarantine pins the side table.
type PlanQuarantine struct {
	Version txlog.Version `json:"version"`
	Task    int64         `json:"task"`
}

// PlanSource pins one table that the plan reads.
type PlanSource struct {
	Table   string         `json:"table"`
	ID      string         `json:"id"`
	Mode    string         `json:"mode"`              // changes, pinned
	After   *txlog.Version `json:"after,omitempty"`   // changes: consumed before, exclusive; nil: all rows at Upto
	Upto    *txlog.Version `json:"upto,omitempty"`    // changes: inclusive
	Version *txlog.Version `json:"version,omitempty"` // pinned
}

// PlanFile is one landing file of an ingest plan.
type PlanFile struct {
	Key      string    `json:"key"` // below source.path
	ETag     string    `json:"etag"`
	Size     int64     `json:"size"` // bytes
	Modified time.Time `json:"modified"`
	Reload   bool      `json:"reload,omitempty"` // rows of an older identity of this key are replaced
}

// Ref names the plan for Execute and for `lakectl task`.
func (p *Plan) Ref() PlanRef { return PlanRef{Model: p.Model, N: p.N} }

// Hash is "sha256:…" of the plan object.
func (p *Plan) Hash() string { return p.hash }

// Resumed tells whether the plan was found, not made.
func (p *Plan) Resumed() bool { return p.resumed }

// PlanRef names a plan: "silver.flights/182".
type PlanRef struct {
	Model string
	N     int64
}

// String is "silver.flights/182"; ParsePlanRef reads it.
func (r PlanRef) String() string { return r.Model + "/" + strconv.FormatInt(r.N, 10) }

// Key is the plan object below the warehouse.
func (r PlanRef) Key() string { return fmt.Sprintf("%s%020d.json", planPrefix(r.Model), r.N) }

// ParsePlanRef reads what PlanRef.String wrote.
func ParsePlanRef(s string) (PlanRef, error) {
	model, n, ok := strings.Cut(s, "/")
	v, err := strconv.ParseInt(n, 10, 64)
	if !ok || err != nil || v < 1 || !isModelName(model) {
		return PlanRef{}, fmt.Errorf("%q is not a plan such as silver.flights/182", s)
	}
	return PlanRef{Model: model, N: v}, nil
}

func planPrefix(model string) string { return "_lake/plans/" + model + "/" }
