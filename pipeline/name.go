package pipeline

import (
	"errors"
	"regexp"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// isName tells whether s can name a layer, a table, a rule or a pipeline. Two underscores are kept for side tables.
func isName(s string) bool {
	if s == "" || len(s) > 63 || s[0] < 'a' || s[0] > 'z' || strings.Contains(s, "__") {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// isModelName tells whether s is "<layer>.<table>".
func isModelName(s string) bool {
	layer, table, ok := strings.Cut(s, ".")
	return ok && isName(layer) && isName(table)
}

// isTableName is isModelName with side tables.
func isTableName(s string) bool { return isModelName(strings.TrimSuffix(s, quarantineSuffix)) }

// cut splits "silver.flights" at its first point.
func cut(name string) (layer, table string) {
	layer, table, _ = strings.Cut(name, ".")
	return layer, table
}

// isColumnName refuses what Parquet and Delta cannot store without column mapping, and names that are ours.
func isColumnName(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsAny(s, " ,;{}()\n\t=`\"") && !strings.HasPrefix(s, "_lake_")
}

func isTypeText(s string) bool {
	t, err := txlog.ParseType(s)
	return err == nil && t.Kind != txlog.KindUnknown
}

// globPattern turns a glob into a regular expression over the whole key: ** crosses slashes, * and ? do not,
// {a,b} is a choice, [a-z] a class.
func globPattern(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("^(?s:")
	depth := 0
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			switch {
			case strings.HasPrefix(glob[i:], "**/"):
				b.WriteString("(?:.*/)?")
				i += 2
			case strings.HasPrefix(glob[i:], "**"):
				b.WriteString(".*")
				i++
			default:
				b.WriteString("[^/]*")
			}
		case '?':
			b.WriteString("[^/]")
		case '{':
			depth++
			b.WriteString("(?:")
		case '}':
			depth--
			b.WriteString(")")
		case ',':
			if depth > 0 {
				b.WriteString("|")
			} else {
				b.WriteString(",")
			}
		case '[':
			j := strings.IndexByte(glob[i:], ']')
			if j < 2 {
				return nil, errGlob
			}
			class := glob[i+1 : i+j]
			if class[0] == '!' {
				class = "^" + class[1:]
			}
			b.WriteString("[" + strings.ReplaceAll(class, `\`, `\\`) + "]")
			i += j
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1])) // byte by byte: the pieces of a rune come together again
		}
	}
	if depth != 0 {
		return nil, errGlob
	}
	b.WriteString(")$")
	return regexp.Compile(b.String())
}

func isGlob(s string) bool {
	_, err := globPattern(s)
	return err == nil
}

var errGlob = errors.New("unbalanced brackets")
