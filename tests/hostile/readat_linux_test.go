package hostile

import (
	"io/fs"
	"syscall"
	"time"
)

// readAt is when a file was read last.
func readAt(st fs.FileInfo) (time.Time, bool) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(s.Atim.Unix()), true
}
