package duckdb

import "github.com/lakectl/lakectl/txlog"

// null is a predicate that is true for every row for which a bound condition is NULL. For a conjunction it is true for
// more rows than that, so it must not stand below a NOT.
func (r *scanReader) null(v any, column []string, t *txlog.DataType) *txlog.Predicate {
	e, _ := v.(node)
	children, _ := e["children"].([]any)
	switch e["expression_class"] {
	case "BOUND_REF":
		if path, _ := r.reference(e, column, t); path != nil {
			return isNull(path)
		}
	case "BOUND_COMPARISON":
		return r.nullComparison(e, column, t)
	case "BOUND_CONJUNCTION":
		if r.negated > 0 {
			return unknown()
		}
		args := make([]*txlog.Predicate, len(children))
		for i, c := range children {
			args[i] = r.null(c, column, t)
		}
		return conjunction(true, args)
	case "BOUND_BETWEEN":
		path, _ := r.reference(e["input"], column, t)
		if path != nil && constant(e["lower"]) && constant(e["upper"]) {
			return isNull(path)
		}
	case "BOUND_OPERATOR":
		switch {
		case e["type"] == "OPERATOR_NOT" && len(children) == 1:
			return r.null(children[0], column, t)
		case e["type"] == "OPERATOR_IS_NULL" || e["type"] == "OPERATOR_IS_NOT_NULL":
			return &txlog.Predicate{Op: txlog.OpFalse}
		case e["type"] == "COMPARE_IN" && len(children) > 1:
			path, _ := r.reference(children[0], column, t)
			for _, c := range children[1:] {
				if !constant(c) {
					return unknown()
				}
			}
			if path != nil {
				return isNull(path)
			}
		}
	}
	return unknown()
}

// nullComparison is null of a column beside a constant.
func (r *scanReader) nullComparison(e node, column []string, t *txlog.DataType) *txlog.Predicate {
	switch e["type"] {
	case "COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN", "COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO":
	default:
		return unknown()
	}
	left, right := e["left"], e["right"]
	path, _ := r.reference(left, column, t)
	if path == nil {
		path, _ = r.reference(right, column, t)
		right = left
	}
	if path == nil || !constant(right) {
		return unknown()
	}
	return isNull(path)
}

func isNull(path []string) *txlog.Predicate {
	return &txlog.Predicate{Op: txlog.OpIsNull, Column: path}
}

// constant tells whether an expression is a value that is not NULL.
func constant(v any) bool {
	e, _ := v.(node)
	value, _ := e["value"].(node)
	null, known := value["is_null"].(bool)
	return e["expression_class"] == "BOUND_CONSTANT" && known && !null
}
