package archive

import (
	"context"
	"errors"
	"io/fs"
)

// UnavailableError says that the archive could not be asked: nothing follows from it about what it holds, and
// later it may.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string {
	return "archive unavailable, try again: " + e.Err.Error()
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// reading is a place of objects from which one reads: what it does not give is *UnavailableError, unless it says that
// there is nothing.
type reading struct{ Objects }

func (o reading) Read(ctx context.Context, name string, limit int64) ([]byte, string, error) {
	b, version, err := o.Objects.Read(ctx, name, limit)
	return b, version, unavailable(err)
}

func (o reading) Names(ctx context.Context, folder string) ([]string, error) {
	names, err := o.Objects.Names(ctx, folder)
	return names, unavailable(err)
}

func (o reading) NamesAfter(ctx context.Context, folder, after string, limit int) ([]string, error) {
	names, err := o.Objects.NamesAfter(ctx, folder, after, limit)
	return names, unavailable(err)
}

func unavailable(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &UnavailableError{err}
}
