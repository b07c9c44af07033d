package table

import (
	"encoding/json"
	"maps"
	"slices"
)

// alterDetails says in a few words what an operation on columns, properties or rules did; ok is false for others.
// Spark writes the same names and, where it has more to say of a column, objects that are left out here.
func alterDetails(operation string, p map[string]string) (words []string, ok bool) {
	switch operation {
	case "ALTER TABLE":
		return listText(p["changes"]), true
	case "SET TBLPROPERTIES":
		var set map[string]string
		if json.Unmarshal([]byte(p["properties"]), &set) != nil {
			return nil, true
		}
		for _, key := range slices.Sorted(maps.Keys(set)) {
			words = append(words, key+" = "+clip(set[key]))
		}
	case "UNSET TBLPROPERTIES":
		words = textList(p["properties"])
	case "RENAME COLUMN":
		words = []string{p["oldColumnPath"] + " → " + p["newColumnPath"]}
	case "ADD COLUMNS", "DROP COLUMNS":
		words = textList(p["columns"])
	case "CHANGE COLUMN":
		var column string
		if json.Unmarshal([]byte(p["column"]), &column) == nil {
			words = []string{column}
		}
	case "ADD CONSTRAINT", "DROP CONSTRAINT":
		words = []string{p["name"] + ": " + clip(p["expr"])}
	case "UPGRADE PROTOCOL":
		words = textList(p["features"])
	case "CLUSTER BY":
		words = []string{p["newClusteringColumns"]}
	default:
		return nil, false
	}
	return words, true
}

// textList reads a JSON list of strings; anything else is none.
func textList(text string) []string {
	var list []string
	if json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	return list
}
