"""Tables: audit entries."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from models.domain.audit import AuditAction
from models.store.base import Instant, Key, word


class AuditEntryRow(SQLModel, table=True):
    """One link of a chain. Only ever inserted.

    `canonical` is the record, the very bytes that were hashed; the other columns repeat parts of it for finding.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_chain_action_sequence", "chain", "action", "sequence"),
        Index("ix_audit_entries_chain_actor_id_action_sequence", "chain", "actor_id", "action", "sequence"),
        Index("ix_audit_entries_chain_target_id_action_sequence", "chain", "target_id", "action", "sequence"),
        Index("ix_audit_entries_chain_request_id_sequence", "chain", "request_id", "sequence"),
        Index("ix_audit_entries_chain_occurred_at", "chain", "occurred_at"),
    )

    chain: str = Field(primary_key=True, sa_type=Key)
    sequence: int = Field(primary_key=True)
    occurred_at: datetime = Field(sa_type=Instant)
    action: AuditAction = Field(sa_type=word(AuditAction))
    actor_id: str = Field(sa_type=Key)
    target_type: str = Field(sa_type=Text)
    target_id: str = Field(sa_type=Text)
    request_id: str = Field(sa_type=Text)
    canonical: bytes = Field(sa_type=LargeBinary)
    hash: str = Field(sa_type=Text)
