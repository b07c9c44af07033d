package logops

import (
	"context"
	"fmt"
	"io"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/txlog"
)

// object is one of a table that was built before.
type object struct {
	key  string
	body []byte
}

// State is where a table stands when the actors begin: version 0 creates it, version 1 adds two files, 2 and 3 add a
// file and the progress of an application; the checkpoint is of version 2.
type State uint8

// The states.
const (
	EmptyFolder State = iota
	TwoFiles
	WithHistory
	WithCheckpoint
)

// Fixture is a table that was built before, object by object.
type Fixture []object

// Fill puts the table into an empty store.
func (f Fixture) Fill(ctx context.Context, s objectstore.Store) error {
	for _, o := range f {
		if _, err := s.Put(ctx, o.key, objectstore.Bytes(o.body), objectstore.CreateOnly); err != nil {
			return err
		}
	}
	return nil
}

// Restore puts one object of the table back.
func (f Fixture) Restore(ctx context.Context, s objectstore.Store, key string) error {
	for _, o := range f {
		if o.key == key {
			_, err := s.Put(ctx, o.key, objectstore.Bytes(o.body), objectstore.CreateOnly)
			return err
		}
	}
	return fmt.Errorf("restore %s: %w", key, objectstore.ErrNotFound)
}

// Build builds a table in this state.
func Build(ctx context.Context, s State) (Fixture, error) {
	store := mem.New("built", mem.WithClock(clock.NewManual(Start())))
	if s == EmptyFolder {
		return nil, nil
	}
	l := Open(store, 99)
	x, err := Create(l)
	if err != nil {
		return nil, err
	}
	if _, err := x.Commit(ctx); err != nil {
		return nil, err
	}
	steps := [][]txlog.Action{{Add("f0", true), Add("f1", true)}}
	if s >= WithHistory {
		steps = append(steps, []txlog.Action{Add("f2", true)}, []txlog.Action{&txlog.Txn{AppID: "app", Version: 1}})
	}
	for n, actions := range steps {
		now, err := l.Latest(ctx)
		if err != nil {
			return nil, err
		}
		x := l.Begin(now, txlog.Operation{Name: "WRITE"})
		x.Stage(actions...)
		if _, err := x.Commit(ctx); err != nil {
			return nil, err
		}
		if n == 1 && s == WithCheckpoint {
			now, err := l.Latest(ctx)
			if err != nil {
				return nil, err
			}
			if err := l.Checkpoint(ctx, now); err != nil {
				return nil, err
			}
		}
	}
	return Dump(ctx, store)
}

// Dump keeps what is in a store.
func Dump(ctx context.Context, store objectstore.Store) (out Fixture, err error) {
	for info, err := range store.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		body, _, err := store.Get(ctx, info.Key, objectstore.Range{})
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		out = append(out, object{info.Key, b})
	}
	return out, nil
}
