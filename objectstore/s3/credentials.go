package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lakectl/lakectl/objectstore"
)

// metadataTimeout bounds one question to a metadata or token service, which outside its cloud may never answer.
const metadataTimeout = 5 * time.Second

// find returns the credentials that the options name, else the first found in: environment, profile files, web
// identity, container and instance metadata. Instance metadata is asked at Amazon only: elsewhere nobody answers.
func find(ctx context.Context, o *Options) (*credentials.Credentials, error) {
	switch {
	case o.Anonymous:
		return credentials.New(&credentials.Static{Value: credentials.Value{SignerType: credentials.SignatureAnonymous}}), nil
	case !o.AccessKey.Empty():
		return credentials.NewStaticV4(o.AccessKey.Reveal(), o.SecretKey.Reveal(), o.SessionToken.Reveal()), nil
	}
	if err := checkProfileFiles(); err != nil {
		return nil, err
	}
	providers := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{Profile: o.Profile}}
	if o.Profile != "" || os.Getenv("AWS_PROFILE") != "" && os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		providers = providers[1:] // a profile that was named must not lose against anything else
	} else if o.Endpoint == amazon || os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" ||
		os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		providers = append(providers, &credentials.IAM{Client: &http.Client{Timeout: metadataTimeout}, Region: o.Region})
	}
	creds := credentials.NewChainCredentials(providers)
	value, err := retrieve(ctx, creds)
	if err != nil {
		return nil, err
	}
	if value.AccessKeyID == "" || value.SecretAccessKey == "" {
		return nil, fmt.Errorf("%w: no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
			objectstore.ErrDenied)
	}
	return creds, nil
}

// retrieve asks the providers, and leaves when ctx is done: they take no context.
func retrieve(ctx context.Context, creds *credentials.Credentials) (credentials.Value, error) {
	type answer struct {
		value credentials.Value
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		v, err := creds.GetWithContext(&credentials.CredContext{Client: &http.Client{Timeout: metadataTimeout}})
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			// What a provider says may quote the file that it read.
			return a.value, fmt.Errorf("%w: no credentials could be read", objectstore.ErrDenied)
		}
		return a.value, nil
	case <-ctx.Done():
		return credentials.Value{}, fmt.Errorf("find credentials: %w", ctx.Err())
	}
}

// checkProfileFiles refuses a credentials file that other users of the machine can read.
func checkProfileFiles() error {
	name := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil //nolint:nilerr // no home, no file
		}
		name = filepath.Join(home, ".aws", "credentials")
	}
	st, err := os.Stat(name) //nolint:gosec // the user names the file of their own credentials
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: credentials file: %w", objectstore.ErrDenied, err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s can be read by others: chmod 600 %s", objectstore.ErrDenied, name, quoted(name))
	}
	return nil
}

func quoted(name string) string {
	if strings.ContainsAny(name, " '\"$`\\*?") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}
