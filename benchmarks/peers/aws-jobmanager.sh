#!/usr/bin/env bash
# The scheme of the document that jobferry's protocol comes from, as a site would write it: cron
# starts it, `aws s3 sync` brings the bucket and the job directories into step, sbatch submits.
# Written for the benchmark; the document itself leaves its script out.
#
# S3_JOB_BUCKET_NAME  the bucket
# JOBS_DIR            the job directories
set -euo pipefail

stat=aws-job-stat.txt
state=${JOBS_DIR:?}/.aws-jobmanager
bucket=${S3_JOB_BUCKET_NAME:?}
mkdir -p "$JOBS_DIR" "$state"

say() { # DIRECTORY WORD
    printf '%s\n' "$2" > "$JOBS_DIR/$1/$stat"
    aws s3 cp --only-show-errors "$JOBS_DIR/$1/$stat" "s3://$bucket/$1/$stat"
}

# What the jobs wrote goes up first, so that the way down cannot overwrite it.
aws s3 sync --only-show-errors --exclude '.aws-jobmanager/*' --exclude "*/$stat" \
    "$JOBS_DIR" "s3://$bucket"
aws s3 sync --only-show-errors "s3://$bucket" "$JOBS_DIR"

live=$(squeue --me -h -o '%i' 2> /dev/null || true)
for record in "$state"/*; do
    [ -e "$record" ] || continue
    job=${record##*/}
    if ! grep -qx "$(< "$record")" <<< "$live"; then
        aws s3 sync --only-show-errors --exclude "$stat" "$JOBS_DIR/$job" "s3://$bucket/$job"
        say "$job" JOB_COMPLETE
        rm "$record"
    fi
done

for mark in "$JOBS_DIR"/*/"$stat"; do
    [ -e "$mark" ] || continue
    read -r word < "$mark" || continue
    [ "$word" = FILE_UPLOAD ] || continue
    directory=${mark%/*}
    job=${directory##*/}
    id=$(cd "$directory" && sbatch --parsable aws-job-run.sh)
    printf '%s\n' "$id" > "$state/$job"
    say "$job" JOB_SUBMITTED
done
