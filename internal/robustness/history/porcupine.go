package history

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Linearizable asks porcupine whether the history could have happened on one log, one call after the other: commits
// append, reads see the end, and what is left is log. known is false where it ran out of time. Histories beyond some
// 500 calls take for ever.
func Linearizable(events []Event, log []Entry, prepared int64, patience time.Duration) (ok, known bool, err error) {
	calls, err := pair(events)
	if err != nil {
		return false, false, err
	}
	var first []string
	for _, e := range log {
		if e.Version <= prepared {
			first = append(first, e.TxnID)
		}
	}
	var ops []porcupine.Operation
	for i, x := range calls {
		op := porcupine.Operation{ClientId: i, Input: x, Call: x.invoke.At, Output: x, Return: math.MaxInt64 - 1}
		if x.outcome() != Unknown {
			op.Return = x.ret.At
		} else if x.invoke.Kind == Read {
			continue
		}
		ops = append(ops, op)
	}
	var final []string
	for _, e := range log {
		final = append(final, e.TxnID)
	}
	ops = append(ops, porcupine.Operation{ClientId: len(calls), Input: final, Call: math.MaxInt64, Return: math.MaxInt64})
	result := porcupine.CheckOperationsTimeout(model(first), ops, patience)
	return result == porcupine.Ok, result != porcupine.Unknown, nil
}

// model is the log as a list of txnIds.
func model(first []string) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{first} },
		Step: func(state, input, _ any) []any {
			now, _ := state.([]string)
			if final, ok := input.([]string); ok {
				if slices.Equal(now, final) {
					return []any{now}
				}
				return nil
			}
			x, _ := input.(*call)
			return step(now, x)
		},
		Equal: func(a, b any) bool {
			x, _ := a.([]string)
			y, _ := b.([]string)
			return slices.Equal(x, y)
		},
		DescribeState: func(s any) string { return fmt.Sprint(s) },
	}
	return m.ToModel()
}

// step lists what the log can be after x.
func step(now []string, x *call) []any {
	after := append(slices.Clone(now), x.invoke.TxnID)
	switch x.outcome() {
	case Committed:
		if x.ret.Version == int64(len(now)) {
			return []any{after}
		}
	case Conflict, Refused, Failed:
		return []any{now}
	case Unknown:
		return []any{now, after}
	case Seen:
		if x.ret.Version == int64(len(now))-1 && (x.ret.TxnID == "" || x.ret.TxnID == now[len(now)-1]) {
			return []any{now}
		}
	}
	return nil
}
