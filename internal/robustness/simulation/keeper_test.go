package simulation_test

import (
	"context"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// keep is the job of the housekeeper: checkpoints, log clean-up, vacuum.
func (p *process) keep(ctx context.Context) {
	p.turns(ctx, func() {
		switch d := p.n(100); {
		case d < 30:
			p.checkpoint(ctx)
		case d < 65:
			p.cleanUp(ctx)
		default:
			p.vacuum(ctx)
		}
	})
}

func (p *process) checkpoint(ctx context.Context) {
	s, err := p.newest(ctx)
	if err != nil {
		return
	}
	if err = s.Log().Checkpoint(ctx, s); err != nil {
		p.excuseAlive("checkpoint", err)
		return
	}
	p.checkpoints++
}

func (p *process) cleanUp(ctx context.Context) {
	s, err := p.newest(ctx)
	if err != nil {
		return
	}
	done, err := s.Log().CleanUp(ctx, s)
	if err != nil {
		p.excuseAlive("clean up the log", err)
	}
	if done != nil && done.Removed > 0 {
		p.cleanUps++
		p.removed += done.Removed
	}
}

func (p *process) vacuum(ctx context.Context) {
	t, err := table.Open(ctx, p.store, mainTable, table.Options{Log: txlog.Options{Clock: p, Rand: p.rand}})
	if err != nil {
		p.excuseAlive("open the table", err)
		return
	}
	done, err := t.Vacuum(ctx, table.Vacuum{})
	if err != nil {
		p.excuseAlive("vacuum", err)
		return
	}
	p.vacuumed += done.FilesDeleted
}

// excuseAlive is excuse for those who are still there to hear it.
func (p *process) excuseAlive(doing string, err error) {
	if p.door.Alive() {
		p.excuse(doing, err)
	}
}
