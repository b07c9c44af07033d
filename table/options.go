package table

import (
	"log/slog"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/txlog"
)

// Options says how a table is opened. The zero value works: the clock and randomness of this machine, default
// limits, no log output.
type Options struct {
	Log txlog.Options
}

// filled returns the only element of o, or the zero value, with every dependency set.
func filled(o []Options) Options {
	var out Options
	if len(o) > 0 {
		out = o[len(o)-1]
	}
	if out.Log.Clock == nil {
		out.Log.Clock = clock.System()
	}
	if out.Log.Rand == nil {
		out.Log.Rand = clock.SystemRand()
	}
	out.Log.Limits = out.Log.Limits.Filled()
	if out.Log.Logger == nil {
		out.Log.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

func (o Options) limits() limits.Limits { return o.Log.Limits }
