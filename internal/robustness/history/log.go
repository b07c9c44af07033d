package history

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
)

// Entry is one version of the log, as a slow and obvious reader sees it.
type Entry struct {
	Version int64
	TxnID   string
	Apps    map[string]int64
	Body    string // hash of its bytes
}

// ReadLog reads all commits of the table at root, in the order of their names.
func ReadLog(ctx context.Context, s objectstore.Store, root string) ([]Entry, error) {
	var out []Entry
	prefix := strings.TrimPrefix(root+"/_delta_log/", "/")
	for info, err := range s.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		digits, isCommit := strings.CutSuffix(info.Key[len(prefix):], ".json")
		v, err := strconv.ParseInt(digits, 10, 64)
		if !isCommit || err != nil {
			continue
		}
		e, err := readEntry(ctx, s, info.Key, v)
		if err != nil {
			return nil, fmt.Errorf("read version %d: %w", v, err)
		}
		out = append(out, e)
	}
	return out, nil
}

func readEntry(ctx context.Context, s objectstore.Store, key string, v int64) (Entry, error) {
	e := Entry{Version: v, Apps: map[string]int64{}}
	body, _, err := s.Get(ctx, key, objectstore.Range{})
	if err != nil {
		return e, err
	}
	b, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return e, err
	}
	e.Body = Hash(b)
	for text := range bytes.Lines(b) {
		var line struct {
			CommitInfo *struct {
				TxnID string `json:"txnId"`
			} `json:"commitInfo"`
			Txn *struct {
				AppID   string `json:"appId"`
				Version int64  `json:"version"`
			} `json:"txn"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return e, err
		}
		if line.CommitInfo != nil {
			e.TxnID = line.CommitInfo.TxnID
		}
		if line.Txn != nil {
			e.Apps[line.Txn.AppID] = line.Txn.Version
		}
	}
	return e, nil
}

// Hash names a body in histories.
func Hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
