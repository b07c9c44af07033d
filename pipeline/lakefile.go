package pipeline

import (
	"time"

	"github.com/lakectl/lakectl/internal/config"
)

// lakeFile is lake.yml.
type lakeFile struct {
	Version            int                        `lake:"version,required" validate:"eq=1"`
	Project            string                     `lake:"project,required" validate:"lakename"`
	DefaultEnvironment string                     `lake:"default_environment"`
	Vars               map[string]varSpec         `lake:"vars" validate:"dive,keys,lakename,endkeys"`
	Environments       map[string]environmentSpec `lake:"environments,required" validate:"min=1,dive,keys,lakename,endkeys"`
	Storage            storageSpec                `lake:"storage"`
	Engines            enginesSpec                `lake:"engines"`
	Cache              cacheSpec                  `lake:"cache"`
	Limits             map[string]rawText         `lake:"limits"`
	Defaults           defaultsSpec               `lake:"defaults"`
	Maintenance        later                      `lake:"maintenance"`
	Alerts             later                      `lake:"alerts"`
	OpenLineage        later                      `lake:"openlineage"`
	Serve              later                      `lake:"serve"`
}

type varSpec struct {
	Type    string   `lake:"type,required" validate:"omitempty,laketype"`
	Default *rawText `lake:"default"`
}

// environmentSpec is kept raw: ${env:…} is resolved only for the environment in use.
type environmentSpec struct {
	Warehouse     rawText            `lake:"warehouse,required"`
	Vars          map[string]rawText `lake:"vars"`
	ReadsFrom     later              `lake:"reads_from"`
	DefaultWindow later              `lake:"default_window"`
	Engine        later              `lake:"engine"`
}

type storageSpec struct {
	Endpoint  rawText `lake:"endpoint"`
	Region    rawText `lake:"region"`
	PathStyle bool    `lake:"path_style"`
	Profile   rawText `lake:"profile"`
}

type enginesSpec struct {
	DuckDB duckdbSpec `lake:"duckdb"`
	Spark  later      `lake:"spark"`
}

type duckdbSpec struct {
	Memory   config.Size `lake:"memory"`
	Threads  *int        `lake:"threads" validate:"omitempty,min=1,max=1024"`
	TempDir  string      `lake:"temp_dir"`
	MaxTemp  config.Size `lake:"max_temp"`
	MaxInput later       `lake:"max_input"`
}

type cacheSpec struct {
	Dir string      `lake:"dir"`
	Max config.Size `lake:"max"`
}

type defaultsSpec struct {
	TimeZone string      `lake:"timezone"`
	Retries  retriesSpec `lake:"retries"`
	Alerts   later       `lake:"alerts"`
}

type retriesSpec struct {
	Max     *int        `lake:"max" validate:"omitempty,min=0,max=100"`
	Backoff backoffSpec `lake:"backoff"`
	Classes []string    `lake:"classes" validate:"unique,dive,oneof=io throttled conflict timeout oom"`
}

type backoffSpec struct {
	Initial time.Duration `lake:"initial" validate:"min=0"`
	Max     time.Duration `lake:"max" validate:"min=0"`
}
