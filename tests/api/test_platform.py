"""How the parts are wired: where a process keeps content is what its settings say."""

from dataclasses import replace

from tre.api.platform import content_store
from tre.outputs.content.bucket import BucketShelf
from tre.outputs.content.folder import Folder
from tre.settings import Bucket, OnCluster, PostgresServer, SecretsServer, Settings


def test_content_lies_in_a_bucket_where_there_is_one_and_in_a_folder_elsewhere(fresh_settings: Settings):
    alone = content_store(fresh_settings)
    assert isinstance(alone.shelf, Folder)
    assert alone.shelf.root == fresh_settings.content
    nowhere = OnCluster(PostgresServer("/x"), PostgresServer("/x"), SecretsServer("https://bao"))
    assert isinstance(content_store(replace(fresh_settings, cluster=nowhere)).shelf, Folder)
    bucket = Bucket("https://s3.example", "outputs")
    there = content_store(replace(fresh_settings, cluster=replace(nowhere, bucket=bucket)))
    assert isinstance(there.shelf, BucketShelf)
    assert (there.shelf.bucket, there.spool.folder) == (bucket, fresh_settings.arriving)
