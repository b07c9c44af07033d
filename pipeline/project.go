package pipeline

import (
	"context"
	"io/fs"
	"slices"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/table"
)

// Project is a folder of project files, read for one environment.
type Project struct {
	Name      string
	Dir       string // absolute folder of lake.yml, as given to Load
	Env       Environment
	Storage   Storage
	DuckDB    DuckDB
	Cache     Cache
	Limits    limits.Limits
	Pipelines []*Pipeline // by name
	Models    []*Model    // by name

	vars map[string]variable
}

// Environment is where the tables are.
type Environment struct {
	Name      string
	Warehouse string // "s3://bucket/prefix" or "file:///absolute/folder"
}

// Storage is how s3:// is reached. Credentials come from AWS_* variables, a profile or a role, never from files of
// the project.
type Storage struct {
	Endpoint  string // "" is AWS
	Region    string
	PathStyle bool
	Profile   string
}

// DuckDB bounds the embedded engine. Zero values mean the engine's own defaults.
type DuckDB struct {
	MemoryBytes  int64
	Threads      int
	TempDir      string
	MaxTempBytes int64
}

// Cache bounds the range cache for s3://. Zero values mean the defaults.
type Cache struct {
	Dir      string
	MaxBytes int64
}

// Parser parses SELECTs; every table.Engine is one.
type Parser interface {
	Parse(ctx context.Context, p table.Parse) (*table.Statement, error)
}

// LoadOptions says for whom and against what a project is read.
type LoadOptions struct {
	Dir    string            // absolute folder of lake.yml: relative file:// addresses start there
	Env    string            // environment; "" is LAKE_ENV, then default_environment, then the only one
	Vars   map[string]string // --var name=value
	Getenv func(string) string
	User   string // ${user}
	// Parser, when set, checks all SQL and finds the graph. Without it Model.Upstream and Model.Pinned are empty and
	// the order of Pipeline.Models is that of their names.
	Parser Parser
}

// Load reads lake.yml and pipelines/ of a project folder and checks everything, without network. Errors: *Problems
// with every problem at once, or the error of fsys or of ctx.
func Load(ctx context.Context, fsys fs.FS, o LoadOptions) (*Project, error) {
	l := &loader{fsys: fsys, o: o}
	return l.load(ctx)
}

// Pipeline returns a pipeline by name.
func (p *Project) Pipeline(name string) (*Pipeline, bool) {
	for _, x := range p.Pipelines {
		if x.Name == name {
			return x, true
		}
	}
	return nil, false
}

// Model returns a model by name.
func (p *Project) Model(name string) (*Model, bool) {
	i, ok := slices.BinarySearchFunc(p.Models, name, func(m *Model, s string) int {
		switch {
		case m.Name < s:
			return -1
		case m.Name > s:
			return 1
		}
		return 0
	})
	if !ok {
		return nil, false
	}
	return p.Models[i], true
}

// TablePath turns a table name into its folder below the warehouse: "silver.orders" into "silver/orders". It is
// false for anything that is not a name of two parts.
func TablePath(name string) (string, bool) {
	if !isTableName(name) {
		return "", false
	}
	layer, table := cut(name)
	return layer + "/" + table, true
}
