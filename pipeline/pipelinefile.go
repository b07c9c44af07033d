package pipeline

import "time"

// pipelineFile is pipelines/<name>/pipeline.yml.
type pipelineFile struct {
	TimeZone           string         `lake:"timezone"`
	Owner              string         `lake:"owner"`
	Description        string         `lake:"description"`
	Tags               []string       `lake:"tags" validate:"unique,dive,lakename"`
	Trigger            triggerSpec    `lake:"trigger"`
	Start              *time.Time     `lake:"start"`
	End                later          `lake:"end"`
	Catchup            string         `lake:"catchup" validate:"omitempty,oneof=latest all none"`
	MaxCatchupRuns     *int           `lake:"max_catchup_runs" validate:"omitempty,min=1"`
	Overlap            string         `lake:"overlap" validate:"omitempty,oneof=queue skip cancel_running fail"`
	MaxIntervalsPerRun later          `lake:"max_intervals_per_run"`
	Parallel           *int           `lake:"parallel" validate:"omitempty,min=1,max=256"`
	Retries            retriesSpec    `lake:"retries"`
	TaskTimeout        *time.Duration `lake:"task_timeout" validate:"omitempty,min=1"`
	Deadline           later          `lake:"deadline"`
	Alerts             later          `lake:"alerts"`
}

type triggerSpec struct {
	Cron         string `lake:"cron"`
	Interval     later  `lake:"interval"`
	AvailableNow later  `lake:"available_now"`
}
