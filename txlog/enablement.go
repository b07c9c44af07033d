package txlog

import (
	"maps"
	"strconv"
)

// Properties that say since when commits of a table carry their own time. The log keeps them.
const (
	inCommitSinceVersion = "delta.inCommitTimestampEnablementVersion"
	inCommitSinceTime    = "delta.inCommitTimestampEnablementTimestamp"
)

// timed completes a metaData that turns in-commit timestamps on in a table that has versions without them: it names
// the version and the time of this very commit, so it is made anew for each attempt.
//
// Protocol: "In-Commit Timestamps", "Writer Requirements for In-Commit Timestamps".
func (t *Transaction) timed(now *Snapshot, info *CommitInfo, actions []Action) []Action {
	if now == nil || info.InCommitTimestamp == nil || now.inCommitTimestamps() {
		return actions
	}
	out := make([]Action, len(actions))
	for i, a := range actions {
		if m, ok := a.(*Metadata); ok {
			c := *m
			c.Configuration = maps.Clone(m.Configuration)
			c.Configuration[inCommitSinceVersion] = strconv.FormatInt(int64(now.version+1), 10)
			c.Configuration[inCommitSinceTime] = strconv.FormatInt(*info.InCommitTimestamp, 10)
			a = &c
		}
		out[i] = a
	}
	return out
}
