package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/internal/config"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/txlog"
)

// loader reads one project. Its methods add to problems and go on.
type loader struct {
	fsys     fs.FS
	o        LoadOptions
	problems Problems
	project  *Project
	lake     lakeFile
	lakeYAML *decoder
	broken   bool // the files have problems already: what SQL says of them may be a consequence
}

func (l *loader) load(ctx context.Context) (*Project, error) {
	text, err := l.read("lake.yml")
	if err != nil {
		return nil, err
	}
	l.project = &Project{Dir: l.o.Dir, vars: map[string]variable{}}
	// The file is read twice: ${name} in it may name a variable of the environment that it declares.
	var first lakeFile
	decodeYAML("lake.yml", text, &first, new(Problems), nil)
	l.lake = first
	l.variables(&decoder{file: "lake.yml", problems: new(Problems)})
	l.lake = lakeFile{}
	l.lakeYAML = decodeYAML("lake.yml", text, &l.lake, &l.problems, l.expand)
	l.settings()
	if err := l.pipelines(); err != nil {
		return nil, err
	}
	l.storage()
	if l.o.Parser != nil {
		l.broken = len(l.problems.List) > 0
		if err := l.graph(ctx); err != nil {
			return nil, err
		}
	}
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	return l.project, nil
}

// read returns a project file, bounded.
func (l *loader) read(name string) ([]byte, error) {
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read project: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read project: %w", err)
	}
	if len(text) > fileBytesMax {
		return nil, fmt.Errorf("read project: %s has more than %d bytes", name, fileBytesMax)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

// expand resolves ${name}, ${env:NAME} and ${user} for the environment in use.
func (l *loader) expand(text string) (string, error) {
	return config.Expand(text, func(name string) (string, error) {
		if env, ok := strings.CutPrefix(name, "env:"); ok {
			if v := l.getenv(env); v != "" {
				return v, nil
			}
			return "", fmt.Errorf("the environment variable %s is not set", env)
		}
		if v, ok := l.project.vars[name]; ok {
			return v.text, nil
		}
		return "", fmt.Errorf("${%s} names no variable of lake.yml; there are %s", name, strings.Join(slices.Sorted(maps.Keys(l.project.vars)), ", "))
	})
}

func (l *loader) getenv(name string) string {
	if l.o.Getenv == nil {
		return ""
	}
	return l.o.Getenv(name)
}

// environment picks the environment in use, "" when there is none.
func (l *loader) environment(d *decoder) string {
	names := slices.Sorted(maps.Keys(l.lake.Environments))
	name, key := l.o.Env, "environments"
	if name == "" {
		name = l.getenv("LAKE_ENV")
	}
	if name == "" && l.lake.DefaultEnvironment != "" {
		name, key = l.lake.DefaultEnvironment, "default_environment"
	}
	switch {
	case len(names) == 0:
		return ""
	case name == "" && len(names) == 1:
		return names[0]
	case name == "":
		d.problem(key, CodeMissingKey, "there are several: say default_environment, LAKE_ENV or --env, one of %s", strings.Join(names, ", "))
		return ""
	case !slices.Contains(names, name):
		d.problem(key, CodeBadRef, "%q is not an environment; there are %s", name, strings.Join(names, ", "))
		return ""
	}
	return name
}

// variables sets the values of the environment in use: --var before the environment before the default.
func (l *loader) variables(d *decoder) {
	env := l.environment(d)
	l.project.vars["user"] = variable{kind: &txlog.DataType{Kind: txlog.KindString}, text: cmp.Or(l.o.User, "unknown")}
	values := l.lake.Environments[env].Vars
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, ok := l.lake.Vars[name]; !ok {
			d.problem("environments."+env+".vars."+name, CodeBadRef, "%q is not declared under vars", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.o.Vars)) {
		if _, ok := l.lake.Vars[name]; !ok {
			d.problem("vars", CodeBadRef, "--var %s: %q is not declared under vars", name, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.lake.Vars)) {
		spec, key := l.lake.Vars[name], "vars."+name
		t, err := txlog.ParseType(spec.Type)
		if err != nil {
			continue // reported by the decoder
		}
		text, given := l.o.Vars[name]
		if v, ok := values[name]; ok && !given {
			text, given, key = string(v), true, "environments."+env+".vars."+name
		}
		if !given && spec.Default != nil {
			text, given, key = string(*spec.Default), true, "vars."+name+".default"
		}
		if !given && env == "" {
			continue // there is no environment that could give it, and that is told
		}
		if !given {
			d.problem(key, CodeMissingKey, "has no value in environment %q and no default", env)
			continue
		}
		text, err = l.expand(text)
		if err != nil {
			d.problem(key, CodeBadRef, "%s", err)
			continue
		}
		if why := checkVariable(t, text); why != "" {
			d.problem(key, CodeBadValue, "%s", why)
			continue
		}
		l.project.vars[name] = variable{kind: t, text: text}
	}
}

// settings fills in what lake.yml says beside pipelines.
func (l *loader) settings() {
	d, p := l.lakeYAML, l.project
	l.variables(d)
	p.Name = l.lake.Project
	if l.lake.DefaultEnvironment != "" {
		if _, ok := l.lake.Environments[l.lake.DefaultEnvironment]; !ok {
			d.problem("default_environment", CodeBadRef, "%q is not an environment", l.lake.DefaultEnvironment)
		}
	}
	if name := l.environment(&decoder{problems: new(Problems)}); name != "" {
		key := "environments." + name + ".warehouse"
		p.Env = Environment{Name: name, Warehouse: l.address(d, key, string(l.lake.Environments[name].Warehouse))}
	}
	e := l.lake.Engines.DuckDB
	p.DuckDB = DuckDB{MemoryBytes: int64(e.Memory), TempDir: l.folder(e.TempDir), MaxTempBytes: int64(e.MaxTemp)}
	if e.Threads != nil {
		p.DuckDB.Threads = *e.Threads
	}
	p.Cache = Cache{Dir: l.folder(l.lake.Cache.Dir), MaxBytes: int64(l.lake.Cache.Max)}
	if d.has("cache") && !l.anyS3() {
		d.at(d.keys["cache"], "cache", CodeNoEffect, "no environment uses s3://")
	}
	p.Limits = limits.Default()
	for _, name := range slices.Sorted(maps.Keys(l.lake.Limits)) {
		key := "limits." + name
		if _, ok := p.Limits.Value(name); !ok {
			d.at(d.keys[key], key, CodeUnknownKey, "%s", unknownKey(name, limits.Names()))
		} else if err := p.Limits.Set(name, string(l.lake.Limits[name])); err != nil {
			d.problem(key, CodeBadValue, "%s", strings.TrimPrefix(err.Error(), key+": "))
		}
	}
	checkRetries(d, "defaults.retries", l.lake.Defaults.Retries)
}

// storage resolves how s3:// is reached, for an environment that needs it: the variables of others may be unset.
func (l *loader) storage() {
	need := strings.HasPrefix(l.project.Env.Warehouse, "s3://") || slices.ContainsFunc(l.project.Models, func(m *Model) bool {
		return m.ingest != nil && strings.HasPrefix(m.ingest.url, "s3://")
	})
	resolve := func(key string, text rawText) string {
		v, err := l.expand(string(text))
		if err != nil && need {
			l.lakeYAML.problem(key, CodeBadRef, "%s", err)
		}
		return v
	}
	s := l.lake.Storage
	l.project.Storage = Storage{
		Endpoint: resolve("storage.endpoint", s.Endpoint), Region: resolve("storage.region", s.Region),
		PathStyle: s.PathStyle, Profile: resolve("storage.profile", s.Profile),
	}
}

func (l *loader) anyS3() bool {
	for _, e := range l.lake.Environments {
		if strings.HasPrefix(string(e.Warehouse), "s3://") || strings.Contains(string(e.Warehouse), "${") {
			return true
		}
		for _, v := range e.Vars {
			if strings.HasPrefix(string(v), "s3://") {
				return true
			}
		}
	}
	return false
}

// folder makes a local path absolute: relative ones start at the project.
func (l *loader) folder(p string) string {
	if p == "" || path.IsAbs(p) {
		return p
	}
	return path.Join(l.o.Dir, p)
}

// address checks the URL of a folder: "s3://bucket/prefix" or "file://…", relative file paths start at the project.
func (l *loader) address(d *decoder, key, text string) string {
	text, err := l.expand(text)
	if err != nil {
		d.problem(key, CodeBadRef, "%s", err)
		return ""
	}
	if rest, ok := strings.CutPrefix(text, "file://"); ok {
		if rest == "" {
			d.problem(key, CodeBadValue, "%q names no folder", text)
			return ""
		}
		return "file://" + l.folder(rest)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		d.problem(key, CodeBadValue, "must be s3://bucket/prefix or file://folder")
		return ""
	}
	if u.User != nil {
		d.problem(key, CodeBadValue, "must not hold credentials; use AWS_* variables or storage.profile")
		return ""
	}
	return "s3://" + u.Host + "/" + strings.Trim(u.Path, "/")
}

// pipelines reads pipelines/<name>/ folders.
func (l *loader) pipelines() error {
	folders, err := fs.ReadDir(l.fsys, "pipelines")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read project: %w", err)
	}
	for _, f := range folders {
		switch {
		case strings.HasPrefix(f.Name(), "."):
		case !f.IsDir():
			l.stray("pipelines/"+f.Name(), "a file here belongs to no pipeline")
		case !isName(f.Name()):
			l.stray("pipelines/"+f.Name(), "the folder's name must match [a-z][a-z0-9_]{0,62}")
		default:
			if err := l.pipeline(f.Name()); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(l.project.Models, func(a, b *Model) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(l.project.Models); i++ {
		if a, b := l.project.Models[i-1], l.project.Models[i]; a.Name == b.Name {
			l.problems.add(Problem{File: b.File, Line: 1, Column: 1, Code: CodeConflict, Message: fmt.Sprintf("%s is made by %s already", b.Name, a.path)})
		}
	}
	if n := int64(len(l.project.Models)); n > l.project.Limits.Models {
		return limits.Over("models", n, l.project.Limits.Models)
	}
	return nil
}

func (l *loader) stray(file, why string) {
	l.problems.add(Problem{File: file, Code: CodeBadValue, Message: why})
}

func (l *loader) pipeline(name string) error {
	folder := "pipelines/" + name
	p := &Pipeline{Name: name}
	l.project.Pipelines = append(l.project.Pipelines, p)
	if err := l.pipelineFile(p, folder+"/pipeline.yml"); err != nil {
		return err
	}
	layers, err := fs.ReadDir(l.fsys, folder)
	if err != nil {
		return fmt.Errorf("read project: %w", err)
	}
	for _, layer := range layers {
		file := folder + "/" + layer.Name()
		switch {
		case strings.HasPrefix(layer.Name(), "."), strings.HasSuffix(layer.Name(), ".md"), layer.Name() == "pipeline.yml":
		case !layer.IsDir():
			l.stray(file, "models stand in the folder of their layer")
		case layer.Name() == "checks" || layer.Name() == "tests":
			l.stray(file, "not supported yet in this version: "+layer.Name())
		case !isName(layer.Name()):
			l.stray(file, "the folder's name must match [a-z][a-z0-9_]{0,62}")
		default:
			if err := l.layer(p, file, layer.Name()); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(p.Models, func(a, b *Model) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

func (l *loader) layer(p *Pipeline, folder, layer string) error {
	files, err := fs.ReadDir(l.fsys, folder)
	if err != nil {
		return fmt.Errorf("read project: %w", err)
	}
	for _, f := range files {
		file := folder + "/" + f.Name()
		base, isIngest := strings.CutSuffix(f.Name(), ".ingest.yml")
		if !isIngest {
			base = strings.TrimSuffix(f.Name(), ".sql")
		}
		switch {
		case strings.HasPrefix(f.Name(), "."), strings.HasSuffix(f.Name(), ".md"):
			continue
		case strings.HasSuffix(f.Name(), ".spark.sql"):
			l.stray(file, "not supported yet in this version: .spark.sql")
			continue
		case f.IsDir() || base == f.Name():
			l.stray(file, "is neither a model (.sql) nor an ingest file (.ingest.yml)")
			continue
		case !isName(base):
			l.stray(file, "the file's name must match [a-z][a-z0-9_]{0,62} without two underscores in a row")
			continue
		}
		text, err := l.read(file)
		if err != nil {
			return err
		}
		m := &Model{Name: layer + "." + base, Layer: layer, Table: base, Pipeline: p.Name, File: layer + "/" + f.Name(), path: file}
		if isIngest {
			l.ingest(m, text)
		} else {
			l.query(m, text)
		}
		p.Models = append(p.Models, m)
		l.project.Models = append(l.project.Models, m)
	}
	return nil
}
